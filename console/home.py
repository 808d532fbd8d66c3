"""The first page: what goes well, and what needs somebody."""

from typing import Any

from django.http import HttpRequest


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return what the home page shows."""
    return context
