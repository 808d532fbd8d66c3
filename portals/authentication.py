"""Who calls the portal-facing API: a portal, by its integration token."""

from typing import cast

from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from portals import jwt
from portals.models import Portal


def bearer_token(header: str) -> str:
    """Return the token of an `Authorization: Bearer` header, "" if there is none."""
    scheme, _separator, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def calling_portal(request: Request) -> Portal:
    """Return the portal that makes an authenticated call."""
    return cast(Portal, request.user)


class PortalAuthentication(BaseAuthentication):
    """`request.user` is the Portal that the verified integration token names."""

    def authenticate(self, request: Request) -> tuple[Portal, str] | None:
        token = bearer_token(request.headers.get("Authorization", ""))
        if not token:
            return None
        try:
            domain = jwt.verified_domain(token)
        except jwt.InvalidToken as exc:
            raise AuthenticationFailed(str(exc)) from exc
        portal = Portal.objects.filter(domain=domain).exclude(status=Portal.Status.UNINSTALLED).first()
        if portal is None:
            raise AuthenticationFailed(_("The app is not installed on this portal."))
        return portal, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
