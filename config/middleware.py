"""What every request passes before Django's own middleware."""

import logging
import uuid
from collections.abc import Callable
from ipaddress import ip_address

import structlog
from django.http import HttpRequest, HttpResponse
from django.urls import is_valid_path
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


class OptionalSlashMiddleware:
    """Serve `/path` and `/path/` alike.

    Django's own way is a redirect, which turns a POST or DELETE into a GET.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if not is_valid_path(path):
            other = path[:-1] if path.endswith("/") else f"{path}/"
            if is_valid_path(other):
                request.path_info = other
        return self.get_response(request)


class RequestLogMiddleware:
    """Write a line for each request; all that is logged during it has its `request_id` and `ip`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with bound_contextvars(request_id=str(uuid.uuid4()), ip=client_address(request)):
            response = self.get_response(request)
            log.log(
                _level(response.status_code),
                "request_finished",
                request=f"{request.method} {request.path}",  # a query may name a customer
                code=response.status_code,
                user_id=_user_id(request),
            )
        return response


def client_address(request: HttpRequest) -> str | None:
    """Return whose request it is: who called the load balancer, which tells so as the last in X-Forwarded-For."""
    told = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    try:
        return str(ip_address(told)) if told else request.META.get("REMOTE_ADDR")
    except ValueError:
        return request.META.get("REMOTE_ADDR")


def _level(status: int) -> int:
    return logging.ERROR if status >= 500 else logging.WARNING if status >= 400 else logging.INFO


def _user_id(request: HttpRequest) -> int | None:
    """Return the key of the staff account or portal that the view asked for: to ask now would be a query."""
    user = getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject) and not request.session.accessed:
        return None
    return getattr(user, "pk", None)
