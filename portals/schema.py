"""What the OpenAPI schema says of authentication and of errors."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from portals.authentication import PortalAuthentication

ERROR = {
    "type": "object",
    "description": "What is wrong, in sentences by field; what concerns no field stands under `text`.",
    "required": ["errors", "status"],
    "properties": {
        "errors": {"type": "object", "additionalProperties": {}},
        "status": {"type": "boolean", "enum": [False]},
    },
    "additionalProperties": False,
}


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


def describe_errors(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Postprocessing hook: every operation answers any failure in one shape."""
    result["components"]["schemas"]["Error"] = ERROR
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"]["default"] = {"description": "It failed.", "content": content}
    return result
