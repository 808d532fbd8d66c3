"""What a text names, found in several ways, each of which has an index and a limit of its own.

So what names no one of ten million costs no more than a common name. With a limit in sight PostgreSQL would rather
walk through the whole table than use the index: a materialized subquery is planned as if all of it was wanted, and
read only as far as the limit all the same.
"""

from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from portals.models import Portal

MOST = 500  # of each way


def ids_of(ways: Iterable[QuerySet[Any]]) -> list[int]:
    """Return the ids of what is in any of these querysets, at most `MOST` of each."""
    found = [queryset.order_by().values("pk").query.sql_with_params() for queryset in ways]
    names = ", ".join(f"way_{number} AS MATERIALIZED ({sql})" for number, (sql, _params) in enumerate(found))
    some = " UNION ".join(f"(TABLE way_{number} LIMIT {MOST})" for number in range(len(found)))
    return ids(f"WITH {names} {some}", [param for _sql, params in found for param in params])


def ids(sql: str, params: Any) -> list[int]:
    """Return the ids that a statement finds."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [pk for (pk,) in cursor.fetchall()]


def portals_named(domain: str) -> list[int]:
    """Return the id of the portal with a domain, or else of those whose domain begins like this."""
    domain = domain.lower()
    found = list(
        Portal.objects.filter(domain__startswith=domain).order_by("domain").values_list("pk", "domain")[:MOST]
    )
    return [pk for pk, name in found if name == domain] or [pk for pk, _name in found]
