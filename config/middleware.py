"""What every request passes before Django's own middleware."""

import logging
import uuid
from collections.abc import Callable
from ipaddress import ip_address
from typing import cast

import structlog
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, ResolverMatch, resolve
from django.utils.functional import SimpleLazyObject
from structlog.contextvars import bound_contextvars

log = structlog.get_logger(__name__)


class ContentLengthMiddleware:
    """Tell the length of an answer that is known, or the server sends it in chunks, in two packets."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not response.streaming:
            response.headers.setdefault("Content-Length", str(len(response.content)))
        return response


class RequestLogMiddleware:
    """Write a line for each request; all that is logged during it has its `request_id` and `ip`.

    That of a webhook whose events were stored is for debugging: their rows have the payload and what became of it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with bound_contextvars(request_id=str(uuid.uuid4()), ip=client_address(request)):
            response = self.get_response(request)
            log.log(
                _level(request, response.status_code),
                "request_finished",
                request=f"{request.method} {request.path}",  # a query may name a customer
                code=response.status_code,
                user_id=_user_id(request),
            )
        return response


class RoutingMiddleware:
    """Serve `/path` and `/path/` alike, and webhooks without the middleware that follows.

    Django's own way with slashes is a redirect, which turns a POST or DELETE into a GET. What follows is for
    people, who have sessions, languages and pages: a webhook needs none of it, and is what comes most.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if (match := _match(path)) is None:
            other = path[:-1] if path.endswith("/") else f"{path}/"
            if match := _match(other):
                request.path_info = other
        if match and getattr(match.func, "is_webhook", False):
            request.resolver_match = match
            return cast(HttpResponse, match.func(request, *match.args, **match.kwargs))
        return self.get_response(request)


def _match(path: str) -> ResolverMatch | None:
    """Return what is at a path, or None."""
    try:
        return resolve(path)
    except Resolver404:
        return None


def client_address(request: HttpRequest) -> str | None:
    """Return whose request it is: who called the load balancer, which tells so as the last in X-Forwarded-For."""
    told = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    try:
        return str(ip_address(told)) if told else request.META.get("REMOTE_ADDR")
    except ValueError:
        return request.META.get("REMOTE_ADDR")


def _level(request: HttpRequest, status: int) -> int:
    if status >= 400:
        return logging.ERROR if status >= 500 else logging.WARNING
    return logging.DEBUG if getattr(request, "is_stored", False) else logging.INFO


def _user_id(request: HttpRequest) -> int | None:
    """Return the key of the staff account or portal that the view asked for: to ask now would be a query."""
    user = getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject) and not request.session.accessed:
        return None
    return getattr(user, "pk", None)
