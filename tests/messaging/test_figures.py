"""What an hour brought is counted once it is due, and as often as one likes."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import PeriodicTask

from externallines.models import ExternalLine
from messaging import figures, tasks
from messaging.models import Chat, Delivery, HourlyFigures, Message
from portals.models import Portal

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def chat():
    portal = Portal.objects.create(domain="acme.uspacy.ua")
    line = ExternalLine.objects.create(portal=portal, channel="webhook", name="Shop", external_id="shop")
    return Chat.objects.create(line=line, external_id="ann", uspacy_id=uuid.uuid4())


def add(chat, at, *, direction="in", took=None, **delivery):
    """Store a message that came at a time, with its delivery if that took so many seconds."""
    message = Message.objects.create(chat=chat, uspacy_id=uuid.uuid4(), direction=direction, created_at=at)
    if took is not None:
        fields = {
            "destination": "uspacy" if direction == "in" else "customer",
            "status": "sent",
            "created_at": at,
            "settled_at": at + timedelta(seconds=took),
        }
        Delivery.objects.create(message=message, chat=chat, **(fields | delivery))
    return message


def count(at):
    with time_machine.travel(at, tick=False):
        tasks.count_hours()


def counts():
    """What each hour brought, in and out, where it brought anything."""
    found = {}
    for row in HourlyFigures.objects.order_by("hour", "direction").exclude(messages=0):
        found.setdefault(row.hour, {})[row.direction] = row.messages
    return found


def test_messages_are_counted_in_the_hour_and_direction_they_came(chat):
    first = add(chat, NOON)
    last = add(chat, NOON + HOUR - timedelta(microseconds=1))
    add(chat, NOON + HOUR)
    add(chat, NOON, direction="out")
    count(NOON + HOUR + MINUTE)
    assert counts() == {NOON: {"in": 2, "out": 1}, NOON + HOUR: {"in": 1}}
    row = HourlyFigures.objects.get(hour=NOON, direction="in")
    assert (row.first_id, row.last_id) == (first.pk, last.pk)


def test_an_hour_that_goes_on_is_counted_again(chat):
    add(chat, NOON)
    count(NOON + MINUTE)
    add(chat, NOON + 2 * MINUTE)
    count(NOON + 3 * MINUTE)
    assert counts() == {NOON: {"in": 2}}


def test_an_hour_is_final_some_minutes_after_its_end(chat):
    add(chat, NOON)
    count(NOON + HOUR + 9 * MINUTE)
    add(chat, NOON + MINUTE)  # whose transaction took long, or whose clock is slow
    count(NOON + HOUR + 10 * MINUTE)
    assert counts() == {NOON: {"in": 2}}
    add(chat, NOON + MINUTE)
    count(NOON + HOUR + 11 * MINUTE)
    assert counts() == {NOON: {"in": 2}}


def test_counting_twice_changes_nothing(chat):
    add(chat, NOON, took=1)
    count(NOON + MINUTE)
    before = list(HourlyFigures.objects.order_by("pk").values())
    count(NOON + MINUTE)
    assert list(HourlyFigures.objects.order_by("pk").values()) == before


def test_hours_that_a_stopped_beat_missed_are_made_up_for(chat):
    add(chat, NOON)
    count(NOON + MINUTE)
    add(chat, NOON + 2 * MINUTE)
    add(chat, NOON + 2 * HOUR)
    count(NOON + DAY)
    assert counts() == {NOON: {"in": 2}, NOON + 2 * HOUR: {"in": 1}}


def test_only_the_last_week_is_counted(chat):
    add(chat, NOON - 7 * DAY)
    add(chat, NOON - 7 * DAY + HOUR)
    count(NOON)
    assert counts() == {NOON - 7 * DAY + HOUR: {"in": 1}}


def test_figures_are_kept_for_ninety_days(chat):
    add(chat, NOON)
    count(NOON)
    count(NOON + 90 * DAY)
    assert NOON in counts()
    count(NOON + 90 * DAY + HOUR)
    assert counts() == {}


def test_once_the_past_is_counted_a_run_looks_at_the_current_hour_only(chat):
    count(NOON + 20 * MINUTE)
    with CaptureQueriesContext(connection) as captured:
        count(NOON + 21 * MINUTE)
    assert sum("messaging_message" in query["sql"] for query in captured) == 1
    assert sum('FROM "messaging_delivery"' in query["sql"] for query in captured) == 1


def within(share, direction="in"):
    return figures.within(share, HourlyFigures.objects.filter(direction=direction))


def test_delivery_times_are_told_to_a_tenth(chat):
    for second in range(1, 101):
        add(chat, NOON, took=second)
    count(NOON + 5 * MINUTE)
    assert within(0.5) == pytest.approx(50, rel=0.1)
    assert within(0.95) == pytest.approx(95, rel=0.1)
    assert within(0.95) >= 95  # what is said to suffice does


def test_times_of_several_hours_add_up(chat):
    for number in range(3):
        add(chat, NOON, took=1)
        add(chat, NOON + HOUR, took=100 + number)
    count(NOON + 2 * HOUR)
    assert within(0.5) == pytest.approx(1, rel=0.1)
    assert within(0.95) == pytest.approx(102, rel=0.1)


def test_a_late_delivery_counts_in_the_hour_it_arrived(chat):
    add(chat, NOON, took=3 * 3600)
    count(NOON + 4 * HOUR)
    arrived = NOON + 3 * HOUR
    assert figures.within(0.5, HourlyFigures.objects.exclude(hour=arrived)) is None
    assert figures.within(0.5, HourlyFigures.objects.filter(hour=arrived)) == pytest.approx(10_800, rel=0.1)


def test_times_are_told_by_direction(chat):
    add(chat, NOON, took=1)
    add(chat, NOON, direction="out", took=20)
    add(chat, NOON, direction="out", took=5, destination="uspacy")  # written in the messenger's own app
    count(NOON + MINUTE)
    assert within(0.5, "out") == pytest.approx(20, rel=0.1)
    assert within(0.95, "in") == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize(
    "other", [{"status": "failed"}, {"kind": "status"}, {"status": "open", "settled_at": None}]
)
def test_only_messages_that_arrived_have_a_time(chat, other):
    add(chat, NOON, took=1, **other)
    count(NOON + MINUTE)
    assert within(0.5) is None


def test_a_delivery_that_two_clocks_say_took_less_than_nothing_took_the_shortest_time(chat):
    add(chat, NOON + MINUTE, took=-2)
    count(NOON + 2 * MINUTE)
    assert within(0.5) == figures.SHORTEST


def test_beat_counts_every_minute(chat):
    entry = PeriodicTask.objects.get(task="messaging.tasks.count_hours")
    assert (entry.interval.every, entry.interval.period, entry.enabled) == (60, "seconds", True)


@pytest.mark.parametrize(
    ("table", "column", "index"),
    [
        ("messaging_message", "created_at", "message_created"),
        ("messaging_delivery", "settled_at", "delivery_settled"),
    ],
)
def test_an_hour_is_found_by_an_index(table, column, index):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN SELECT 1 FROM {table} WHERE {column} >= now() - interval '1 hour'")
        assert index in str(cursor.fetchall())
