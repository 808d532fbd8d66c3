"""What all admin pages have in common: read-only by default, and fast on large tables."""

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property


class EstimatingPaginator(Paginator):
    """Count exactly what is filtered up to a limit; of a whole table take PostgreSQL's estimate."""

    EXACT_UP_TO = 10_000
    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        counted: int = self.object_list.order_by()[: self.EXACT_UP_TO].count()
        if counted < self.EXACT_UP_TO or self.object_list.query.where:
            return counted
        with connection.cursor() as cursor:
            table = self.object_list.model._meta.db_table
            cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [table])
            return max(counted, int(cursor.fetchone()[0]))


class ReadOnlyAdmin(admin.ModelAdmin):
    """A list and its pages to look at; what can be done are actions, each with its permission."""

    paginator = EstimatingPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they count the whole table
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
