"""One shape for every error of the portal-facing API and the marketplace callbacks.

`{"errors": {"<field>": ["sentence", ...]}, "status": false}`; what concerns no field stands under `text`.
"""

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import page_not_found
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler


def error_body(errors: dict[str, Any]) -> dict[str, Any]:
    return {"errors": errors, "status": False}


class Conflict(exceptions.APIException):
    status_code = 409
    default_code = "conflict"


class TooLarge(exceptions.APIException):
    status_code = 413
    default_code = "too_large"
    default_detail = "The body is too large."


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Answer DRF's errors in our shape; anything else stays a 500."""
    if isinstance(exc, RequestDataTooBig):
        exc = TooLarge()
    response = drf_exception_handler(exc, context)
    if response is None:
        return None
    match response.data:
        case {"detail": detail}:
            errors: dict[str, Any] = {"text": [str(detail)]}
        case dict() as by_field:
            errors = {
                ("text" if field == "non_field_errors" else field): value for field, value in by_field.items()
            }
        case other:
            errors = {"text": other}
    response.data = error_body(errors)
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer in the same shape for a path of the API that there is not, such as one with a malformed id."""
    if "/api/" not in request.path:
        return page_not_found(request, exception)
    return JsonResponse(error_body({"text": ["Not found."]}), status=404)
