"""What the OpenAPI schema says of authentication."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from portals.authentication import PortalAuthentication


class PortalAuthenticationScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = PortalAuthentication
    name = "integrationToken"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The integration token.",
        }
