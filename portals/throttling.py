"""How often a portal may call the portal-facing API."""

from typing import TYPE_CHECKING

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module, through the settings


class PortalThrottle(SimpleRateThrottle):
    """So many calls a minute for each portal; strangers never get this far."""

    scope = "portal"

    def get_cache_key(self, request: Request, view: "APIView") -> str | None:
        return f"throttle:{request.user.pk}" if request.user else None
