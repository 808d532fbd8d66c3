"""Filters that no index serves: a list looks through so many rows at a time, and says where it stopped.

What is asked for may be rare, or not there at all; to look for it in ten million rows at once takes too long.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from console import keyset
from console.base import KeysetChangeList

LOOKED_THROUGH = 10_000  # rows for one page


class Sieve(admin.SimpleListFilter):
    """A filter by a condition without an index; a SievedChangeList applies it."""

    def condition(self, value: str) -> Q:
        raise NotImplementedError

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset


class SievedChangeList(KeysetChangeList):
    """A list that has sieves among its filters. Through them it is read in one direction only."""

    def get_page(self) -> keyset.Page[Any]:
        conditions = list(self.conditions())
        if not conditions:
            return super().get_page()
        page = sift(self.queryset, conditions, self.model_admin.keyset, size=self.list_per_page, after=self.after)
        if page.next and len(page.rows) < self.list_per_page:
            count = {"count": f"{LOOKED_THROUGH:,}"}
            self.note = (
                _("The %(count)s next rows are looked through; go on to see what is in older ones.") % count
            )
        return page

    def conditions(self) -> Iterator[Q]:
        for spec in self.filter_specs:
            if isinstance(spec, Sieve) and (value := spec.value()) in dict(spec.lookup_choices):
                yield spec.condition(value)


def sift(
    queryset: QuerySet[Any], conditions: Sequence[Q], key: Sequence[str], *, size: int, after: str = ""
) -> keyset.Page[Any]:
    """Return the next rows that meet the conditions, of those that one page may cost. Raises InvalidCursor."""
    looked_at = keyset.beyond(queryset, key, after).order_by(*key)
    found = queryset.filter(*conditions, pk__in=looked_at.values("pk")[:LOOKED_THROUGH])
    page: keyset.Page[Model] = keyset.page(found, key, size=size, after=after)
    if page.next:
        return keyset.Page(page.rows, "", page.next)
    last = looked_at[LOOKED_THROUGH - 1 : LOOKED_THROUGH + 1]
    further = list(last)
    return keyset.Page(page.rows, "", keyset.cursor(further[0], key) if len(further) == 2 else "")
