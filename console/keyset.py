"""Pages of a long list: each begins where its neighbour ended, so that none is counted or skipped over.

A page costs the same at the end of ten million rows as at their beginning.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.db.models import Model, Q, QuerySet

M = TypeVar("M", bound=Model)


class InvalidCursor(ValueError):
    """A cursor that no page of ours has given."""


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Rows in the order of the list, and the cursors of the pages before and after, "" where there is none."""

    rows: list[M]
    previous: str
    next: str


def page(queryset: QuerySet[M], key: Sequence[str], *, size: int, after: str = "", before: str = "") -> Page[M]:
    """Return the first page, or the one after or before a cursor.

    `key` names one or two fields that put the rows in an order without ties, all with or all without a minus.
    Raises InvalidCursor.
    """
    if before:
        rows = list(beyond(queryset, reverse(key), before).order_by(*reverse(key))[: size + 1])
        more_before, rows = len(rows) > size, rows[:size][::-1]
        return Page(rows, cursor(rows[0], key) if rows and more_before else "", _cursor_of_last(rows, key))
    rows = list(beyond(queryset, key, after).order_by(*key)[: size + 1])
    more_after, rows = len(rows) > size, rows[:size]
    return Page(
        rows, cursor(rows[0], key) if rows and after else "", _cursor_of_last(rows, key) if more_after else ""
    )


def estimate(model: type[Model]) -> int:
    """Return about how many rows a table has, as PostgreSQL last saw it; 0 for one that it has not looked at."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [model._meta.db_table])
        return max(0, int(cursor.fetchone()[0]))


def beyond(queryset: QuerySet[M], key: Sequence[str], cursor: str) -> QuerySet[M]:
    """Keep what comes after a cursor in the order of `key`."""
    if not cursor:
        return queryset
    names = columns(key)
    values = _values(queryset, names, cursor)
    further = "lt" if key[0].startswith("-") else "gt"
    last = Q(**{f"{names[-1]}__{further}": values[-1]})
    if len(names) == 1:
        return queryset.filter(last)
    # The first condition is what an index can jump to.
    return queryset.filter(
        Q(**{f"{names[0]}__{further}e": values[0]}), Q(**{f"{names[0]}__{further}": values[0]}) | last
    )


def _values(queryset: QuerySet[M], names: Sequence[str], cursor: str) -> list[Any]:
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor))
        return [_sound(_field(queryset, name).to_python(value)) for name, value in zip(names, values, strict=True)]
    except (ValueError, TypeError, OverflowError, RecursionError, ValidationError) as exc:
        raise InvalidCursor(cursor) from exc


def _sound(value: Any) -> Any:
    """Return a value as PostgreSQL takes it. Raises ValueError or OverflowError."""
    if value is None:
        raise ValueError
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, str):
        value.encode()  # which halves of surrogate pairs are not
        if "\x00" in value:
            raise ValueError
    return value


def _field(queryset: QuerySet[M], name: str) -> Any:
    """Return the field of a column, or of what the queryset was annotated with."""
    annotation = queryset.query.annotations.get(name)
    return annotation.output_field if annotation else queryset.model._meta.get_field(name)


def cursor(row: Model, key: Sequence[str]) -> str:
    """Return what names the place of a row in the order of `key`."""
    return cursor_of({name: getattr(row, name) for name in columns(key)}, key)


def cursor_of(row: Mapping[str, Any], key: Sequence[str]) -> str:
    """Return the same for a row's values."""
    values = [row[name] for name in columns(key)]
    return base64.urlsafe_b64encode(json.dumps(values, cls=_Exact).encode()).decode()


def _cursor_of_last(rows: Sequence[Model], key: Sequence[str]) -> str:
    return cursor(rows[-1], key) if rows else ""


class _Exact(DjangoJSONEncoder):
    """Keeps the microseconds of a time, which Django's cuts to thousandths."""

    def default(self, o: Any) -> Any:
        return o.isoformat() if hasattr(o, "isoformat") else super().default(o)


def reverse(key: Sequence[str]) -> list[str]:
    """Return the key of the opposite order."""
    return [field[1:] if field.startswith("-") else f"-{field}" for field in key]


def columns(key: Sequence[str]) -> list[str]:
    """Return the fields of a key without their directions."""
    return [field.removeprefix("-") for field in key]
