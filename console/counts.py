"""Numbers that lead to the list behind them: both are made of the same filters."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Model
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.http import urlencode

ENOUGH = 1_000  # how many more there are nobody needs to know


@dataclass(frozen=True)
class Listed:
    """How many rows a list has, and its address."""

    count: int
    url: str

    @property
    def text(self) -> str:
        return number(min(self.count, ENOUGH)) + ("+" if self.count > ENOUGH else "")


def listed(model: type[Model], **filters: Any) -> Listed:
    """Count the rows of a list, as far as anybody cares."""
    rows = model._default_manager.filter(**filters).order_by()[: ENOUGH + 1]
    return Listed(rows.count(), list_url(model, **filters))


def list_url(model: type[Model], **filters: Any) -> str:
    """Return the address of a list that is narrowed to some rows."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{address}?{urlencode({name: _text(value) for name, value in filters.items()})}"


def number(value: int) -> str:
    """Show a number with its thousands apart, as the language has it."""
    return number_format(value, force_grouping=True)


def may_see(user: User | AnonymousUser, model: type[Model]) -> bool:
    return user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
