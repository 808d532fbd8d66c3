"""Callbacks of Uspacy's marketplace (uspacy-api.md 2)."""

import logging
from typing import Any

import structlog
from django.core.exceptions import SuspiciousOperation
from rest_framework import exceptions, status
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portals import jwt, services
from portals.authentication import bearer_token
from portals.errors import error_body
from portals.parsers import JSONParser
from portals.serializers import InstallSerializer

log = structlog.get_logger(__name__)


class CallbackView(APIView):
    """A call of the marketplace, which names the portal only in its signed token."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    parser_classes = (JSONParser, FormParser)
    schema = None

    def portal_domain(self, body_token: Any = None) -> str:
        """Return the portal that every given token names. Raises 401 or 403."""
        given = (bearer_token(self.request.headers.get("Authorization", "")), body_token)
        tokens = [token for token in given if isinstance(token, str) and token]
        try:
            domains = {jwt.verified_domain(token) for token in tokens}
        except jwt.DomainNotAllowed as exc:
            raise exceptions.PermissionDenied(str(exc)) from exc
        except jwt.InvalidToken as exc:
            # An uninstall that is refused leaves a portal to be looked after by hand (uspacy-api.md 11.3).
            level = logging.ERROR if self.request.method == "DELETE" else logging.WARNING
            log.log(level, "callback_refused", path=self.request.path, reason=str(exc))
            raise InvalidCallbackToken(str(exc)) from exc
        if len(domains) != 1:
            reason = "The tokens name different portals." if domains else "A signed token is required."
            log.warning("callback_refused", path=self.request.path, reason=reason)
            raise InvalidCallbackToken(reason)
        return domains.pop()


class InvalidCallbackToken(exceptions.APIException):
    status_code = status.HTTP_401_UNAUTHORIZED


class InstallView(CallbackView):
    def post(self, request: Request) -> Response:
        try:
            body = request.data
        except (exceptions.ParseError, exceptions.UnsupportedMediaType, SuspiciousOperation):  # as too large
            body = None
        domain = self.portal_domain(body.get("token") if isinstance(body, dict) else None)
        serializer = InstallSerializer(data=body if isinstance(body, dict) else {})
        if not serializer.is_valid():
            return Response(error_body(serializer.errors), status=status.HTTP_422_UNPROCESSABLE_ENTITY)
        data = serializer.validated_data
        services.install(
            domain=domain,
            token=data["token"],
            refresh_token=data["refresh_token"],
            expires_at=data["expiry_date"],
        )
        return Response({"status": True, "message": "success"})


class UninstallView(CallbackView):
    def delete(self, request: Request) -> Response:
        services.uninstall(domain=self.portal_domain())
        return Response(status=status.HTTP_204_NO_CONTENT)
