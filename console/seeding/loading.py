"""Rows on their way into tables, by COPY: the one way that takes millions of them in minutes."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from django.db import connection
from django.db.models import Model

T = TypeVar("T")
IDS_AT_ONCE = 10_000


def copy(model: type[Model], rows: Iterable[NamedTuple]) -> None:
    """Write rows whose fields are named as the columns of a model's table."""
    rows = iter(rows)
    if (first := next(rows, None)) is None:
        return
    columns = ", ".join(first._fields)
    with connection.cursor() as cursor, cursor.copy(f"COPY {model._meta.db_table} ({columns}) FROM STDIN") as into:
        into.write_row(first)
        for row in rows:
            into.write_row(row)


def reserve(model: type[Model], count: int) -> range:
    """Return ids that no other row of a table has or will get."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(sequence, nextval(sequence) + %s)"
            " FROM pg_get_serial_sequence(%s, 'id') name, LATERAL (SELECT name::regclass AS sequence) known",
            [count - 1, model._meta.db_table],
        )
        [last] = cursor.fetchone()
    return range(last - count + 1, last + 1)


def ids_of(model: type[Model]) -> Iterator[int]:
    """Return such ids without end."""
    while True:
        yield from reserve(model, IDS_AT_ONCE)


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
