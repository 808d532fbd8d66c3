"""How lists are paged."""

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request


class Pages(CursorPagination):
    """Pages by cursor. One that is not of our making is 404, also where DRF would only find out in the query."""

    page_size = 50

    def paginate_queryset(self, queryset: Any, request: Request, view: Any | None = None) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, ValidationError) as exc:
            raise NotFound(self.invalid_cursor_message) from exc
