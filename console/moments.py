"""Filters by time for lists in the order of ids: ids rise with time, so that no other index is needed."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import TextFilter
from unfold.widgets import INPUT_CLASSES

# Twenty-odd looks at the index of ids find the first row that is not older than a moment.
FIRST_SINCE = """
    WITH RECURSIVE search (low, high) AS (
        SELECT min(id), max(id) + 1 FROM {table}
        UNION ALL
        SELECT
            CASE WHEN found.moment < %(moment)s THEN found.id + 1 ELSE low END,
            CASE WHEN found.moment < %(moment)s THEN high ELSE (low + high) / 2 END
        FROM search, LATERAL (
            SELECT id, {column} AS moment FROM {table} WHERE id >= (low + high) / 2 ORDER BY id LIMIT 1
        ) found
        WHERE low < high
    )
    SELECT max(low) FROM search
"""


def first_since(model: type[Model], column: str, moment: datetime) -> int:
    """Return the id of the first row that is not older than a moment, or one that no row has yet."""
    with connection.cursor() as cursor:
        cursor.execute(FIRST_SINCE.format(table=model._meta.db_table, column=column), {"moment": moment})
        return int(cursor.fetchone()[0] or 0)


class MomentForm(forms.Form):
    """One field for a moment, which browsers have a widget for."""

    def __init__(self, name: str, label: str, data: dict[str, str | None]) -> None:
        super().__init__(data=data)
        attrs = {"type": "datetime-local", "class": " ".join(INPUT_CLASSES)}
        self.fields[name] = forms.CharField(label=label, required=False, widget=forms.TextInput(attrs=attrs))


class SinceFilter(TextFilter):
    """Keep what came from a moment on, by the time that `ModelAdmin.came_at` names."""

    title = _("time, from (UTC)")
    parameter_name = "since"
    form_class = MomentForm
    lookup = "pk__gte"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: type[Model], model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.column: str = model_admin.came_at

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        try:
            moment = datetime.fromisoformat(self.value() or "")
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            return queryset
        return queryset.filter(**{self.lookup: first_since(queryset.model, self.column, moment)})


class UntilFilter(SinceFilter):
    title = _("time, until (UTC)")
    parameter_name = "until"
    lookup = "pk__lt"
