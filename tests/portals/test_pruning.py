"""A portal's history is kept for half a year."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portals import tasks
from portals.models import Portal, PortalEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def portal() -> Portal:
    return Portal.objects.create(domain="acme.uspacy.ua")


def add_events(portal: Portal, days: float, number: int = 1) -> None:
    moment = timezone.now() - timedelta(days=days)
    kind = PortalEvent.Kind.RENEWED
    PortalEvent.objects.bulk_create(
        PortalEvent(portal=portal, kind=kind, text=str(days), created_at=moment) for _ in range(number)
    )


def left() -> list[str]:
    return list(PortalEvent.objects.order_by("-created_at").values_list("text", flat=True))


def test_only_what_is_older_than_half_a_year_is_forgotten(portal: Portal) -> None:
    for days in (0, 179.9, 180.1, 400):
        add_events(portal, days)
    tasks.prune_portal_events()
    assert left() == ["0", "179.9"]
    assert Portal.objects.get() == portal


def test_with_nothing_to_forget_nothing_happens(portal: Portal) -> None:
    add_events(portal, 1)
    tasks.prune_portal_events()
    tasks.prune_portal_events()
    assert left() == ["1"]


def test_much_is_forgotten_in_batches(portal: Portal) -> None:
    add_events(portal, 200, tasks.PRUNE_BATCH + 3)
    add_events(portal, 100, 2)
    with CaptureQueriesContext(connection) as queries:
        tasks.prune_portal_events()
    assert left() == ["100", "100"]
    assert sum(query["sql"].startswith("DELETE") for query in queries) >= 2
