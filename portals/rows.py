"""Hand-written SQL for the few statements that every message passes (docs/performance.md).

Django builds a query's SQL anew each time, which takes longer than PostgreSQL takes to answer. Where that matters,
the statement is written out, and run here: prepared, its rows read back as models.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models.base import ModelState


def fetch(sql: str, params: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement that returns rows. What a partial index asks for has to stand in it literally."""
    return cast(list[tuple[Any, ...]], cast(Any, connection).fetch(sql, params))


class Columns:
    """All columns of some tables for a SELECT, `alias=Model`, and how their values become instances."""

    def __init__(self, **tables: type[models.Model]) -> None:
        self._tables = tables

    def __str__(self) -> str:
        return ", ".join(
            f"{alias}.{field.column}" for alias, model in self._tables.items() for field in _fields(model)
        )

    def read(self, row: Sequence[Any]) -> list[Any]:
        """Return an instance of each table, in their order; the row may have further values at its end."""
        instances, start = [], 0
        for model, names, converters in self._plan:
            values = list(row[start : start + len(names)])
            for index, convert in converters:
                values[index] = convert(values[index], None, connection)
            instances.append(_instance(model, names, values))
            start += len(names)
        return instances

    @cached_property
    def _plan(self) -> list[tuple[Any, list[str], list[tuple[int, Callable[..., Any]]]]]:
        """Of each table the model, its attributes, and what the ORM, too, converts: encrypted and JSON fields."""
        return [
            (
                model,
                [field.attname for field in _fields(model)],
                [
                    (index, field.from_db_value)
                    for index, field in enumerate(_fields(model))
                    if hasattr(field, "from_db_value")
                ],
            )
            for model in self._tables.values()
        ]


def _instance(model: type[models.Model], names: Sequence[str], values: Sequence[Any]) -> models.Model:
    """Return a stored row as an instance, as `from_db` does, less its signals, and in half the time."""
    instance = model.__new__(model)
    instance._state = ModelState()
    instance._state.db, instance._state.adding = DEFAULT_DB_ALIAS, False
    instance.__dict__.update(zip(names, values, strict=True))
    return instance


def _fields(model: type[models.Model]) -> Sequence[Any]:
    return cast(Sequence[Any], model._meta.concrete_fields)
