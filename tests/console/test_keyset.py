"""Pages of a list meet each other without a gap, whatever is added meanwhile."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import F

from console import keyset
from portals.models import Portal, PortalEvent

pytestmark = pytest.mark.django_db

NEWEST_FIRST = ("-created_at", "-id")
NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def portal():
    return Portal.objects.create(domain="acme.uspacy.ua")


@pytest.fixture
def events(portal):
    """Ten rows, three of each moment."""
    PortalEvent.objects.bulk_create(
        PortalEvent(portal=portal, kind="renewed", created_at=NOON + timedelta(microseconds=number // 3))
        for number in range(10)
    )
    return list(PortalEvent.objects.order_by(*NEWEST_FIRST))


def page(key=NEWEST_FIRST, **where):
    return keyset.page(PortalEvent.objects.all(), key, size=4, **where)


def walk(key=NEWEST_FIRST):
    pages = [page(key)]
    while pages[-1].next:
        pages.append(page(key, after=pages[-1].next))
    return pages


@pytest.mark.parametrize("key", [NEWEST_FIRST, ("created_at", "id"), ("-id",), ("id",)])
def test_the_pages_have_every_row_once_and_in_order(events, key):
    rows = [row for page in walk(key) for row in page.rows]
    assert rows == list(PortalEvent.objects.order_by(*key))


def test_one_gets_back_the_way_one_came(events):
    first, second, third = walk()
    assert page(before=third.previous) == keyset.Page(second.rows, second.previous, second.next)
    assert page(before=second.previous).rows == first.rows
    assert page(before=second.previous).previous == ""


def test_only_the_ends_have_no_neighbours(events):
    first, second, third = walk()
    assert [bool(each.previous) for each in (first, second, third)] == [False, True, True]
    assert [bool(each.next) for each in (first, second, third)] == [True, True, False]


def test_a_full_last_page_has_no_next_one(events):
    assert keyset.page(PortalEvent.objects.all(), NEWEST_FIRST, size=10).next == ""


def test_what_is_added_meanwhile_moves_no_row_to_another_page(portal, events):
    first = page()
    PortalEvent.objects.create(portal=portal, kind="renewed", created_at=NOON + timedelta(hours=1))
    assert page(after=first.next).rows == events[4:8]


def test_a_row_that_is_gone_is_no_hindrance(events):
    first = page()
    first.rows[-1].delete()
    assert page(after=first.next).rows == events[4:8]


def test_an_empty_list_is_one_empty_page():
    assert page() == keyset.Page([], "", "")


@pytest.mark.parametrize(
    "cursor", ["x", "ї", "W10=", "e30=", "bnVsbA==", "WyJ4IiwgMV0=", "WzFd", "W1tdLCBbXV0=", "=" * 5]
)
def test_a_cursor_of_nobodys_is_refused(events, cursor):
    with pytest.raises(keyset.InvalidCursor):
        page(after=cursor)


def test_a_list_sent_a_wrong_cursor_shows_the_first_page(admin_client, portal):
    answer = admin_client.get("/admin/portals/portal/", {"after": "nonsense"}, follow=True)
    assert answer.status_code == 200


def test_a_table_is_estimated_without_looking_at_it(portal):
    from django.db import connection

    PortalEvent.objects.bulk_create(PortalEvent(portal=portal, kind="renewed") for _event in range(40))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE portals_portalevent")
    PortalEvent.objects.update(text=F("kind"))
    PortalEvent.objects.create(portal=portal, kind="renewed")
    assert keyset.estimate(PortalEvent) == 40
