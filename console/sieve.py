"""Filters that no index serves: a list looks through so many rows at a time, and says where it stopped.

What is asked for may be rare, or not there at all; to look for it in ten million rows at once takes too long.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
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
    """Return the next rows that meet the conditions, of those that one page may cost. Raises InvalidCursor.

    These are a range of the index that has the order: of anything else PostgreSQL may think that it had better
    look through the whole table for the conditions.
    """
    rest = keyset.beyond(queryset, key, after).order_by(*key)
    border = rest.values(*keyset.columns(key))[LOOKED_THROUGH - 1 : LOOKED_THROUGH + 1]
    cursors = [keyset.cursor_of(values, key) for values in border]  # the rows themselves may be pruned meanwhile
    last, beyond = cursors if len(cursors) == 2 else ("", "")
    near = keyset.beyond(rest, keyset.reverse(key), beyond).order_by(*key)
    ids = list(near.filter(*conditions).values_list("pk", flat=True)[: size + 1])
    found = list(queryset.filter(pk__in=ids[:size]).order_by(*key))
    return keyset.Page(found, "", keyset.cursor(found[-1], key) if len(ids) > size else last)
