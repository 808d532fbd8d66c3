"""The home page says what needs somebody and how much goes through, and costs little however much that is."""

import html
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.urls import reverse
from django_celery_beat.models import PeriodicTask

from config import health
from console import charts
from console.counts import ENOUGH
from externallines.models import ExternalLine
from messaging import figures
from messaging.models import Chat, Delivery, HourlyFigures, Message, SnsTopic, WebhookEvent
from portals.models import Portal
from tests.console.desk import queries

pytestmark = pytest.mark.django_db

HOME = reverse("admin:index")
NOW = datetime(2026, 3, 5, 12, 20, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
WELL = "Nothing needs you right now."


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def beat():
    """Beat has just given its sign of life."""
    PeriodicTask.objects.filter(name=health.SWEEP).update(last_run_at=NOW)


def home(client):
    answer = client.get(HOME)
    assert answer.status_code == 200
    return answer


def text(client):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", home(client).content.decode())).split())


def needs(client):
    return [need.text for need in home(client).context["needs"]]


def add(chat, at=NOW, *, direction="in", **delivery):
    message = Message.objects.create(chat=chat, uspacy_id=uuid.uuid4(), direction=direction, created_at=at)
    if delivery:
        fields = {"destination": "customer", "created_at": at, "available_at": at}
        Delivery.objects.create(message=message, chat=chat, **(fields | delivery))
    return message


@pytest.fixture
def chat(line):
    ExternalLine.objects.update(status="active")
    return Chat.objects.create(line=line, external_id="ann", uspacy_id=uuid.uuid4())


def make_trouble(line):
    """Give every list that the page leads to something that needs somebody, a different number of each."""
    for number in range(2):
        Portal.objects.create(domain=f"gone-{number}.uspacy.ua", status="needs_reinstall")
    for number in range(3):
        Portal.objects.create(domain=f"soon-{number}.uspacy.ua", expires_at=NOW + 59 * MINUTE)
    Portal.objects.create(domain="fresh.uspacy.ua", expires_at=NOW + 61 * MINUTE)
    Portal.objects.create(domain="left.uspacy.ua", expires_at=NOW, status="uninstalled")
    for number, fields in enumerate([{"status": "error"}] * 4 + [{"status": "active", "warning": "Mend."}] * 5):
        ExternalLine.objects.create(
            portal=line.portal, channel="webhook", name="Shop", external_id=f"{number}", **fields
        )
    chat = Chat.objects.create(line=line, external_id="ann", uspacy_id=uuid.uuid4())
    for _number in range(6):
        add(chat, NOW - 10 * MINUTE, status="open")
    for _number in range(7):
        add(chat, status="failed", settled_at=NOW - 23 * HOUR)
    add(chat, status="failed", settled_at=NOW - 25 * HOUR)
    for number in range(8):
        WebhookEvent.objects.create(source="uspacy", key=f"{number}", payload="{}", outcome="failed")
    for number in range(9):
        SnsTopic.objects.create(arn=f"arn:aws:sns:{number}")


# What needs somebody


def test_what_needs_somebody_comes_first_and_the_worst_of_it_on_top(staff, line):
    make_trouble(line)
    assert needs(staff()) == [
        "The scheduler (beat) is not running: tokens are not renewed, and lost wake-ups are not found.",
        "9 SNS topics wait for approval: what they would send does not arrive.",
        "2 portals have to install the app again: their messages wait.",
        "4 lines do not work: operators' answers wait until they are mended.",
        "7 deliveries failed in the last 24 hours.",
        "The tokens of 3 portals expire within an hour and were not renewed.",
        "5 lines work, but have something that their owners should mend in time.",
        "6 deliveries wait.",
        "8 webhook events could not be understood and were kept.",
    ]


def test_each_need_leads_to_the_list_of_just_those_rows(staff, line, beat):
    make_trouble(line)
    client = staff()
    for need in home(client).context["needs"]:
        told = int(re.search(r"\d+", need.text)[0])
        assert client.get(need.url).context["cl"].result_count == told, need


def test_if_all_is_well_the_page_says_so(staff, chat, beat):
    add(chat, NOW - 4 * MINUTE, status="open")  # under way
    assert needs(staff()) == []
    assert WELL in text(staff())


def test_the_oldest_that_waits_is_told(staff, chat, beat):
    add(chat, NOW - 3 * HOUR, status="open", available_at=NOW + MINUTE)
    add(chat, NOW - 10 * MINUTE, status="open")
    assert "2 deliveries wait. The oldest came 3 hours ago ." in text(staff())


def test_above_a_thousand_nobody_counts(staff, line, beat):
    WebhookEvent.objects.bulk_create(
        WebhookEvent(source="uspacy", key=f"{number}", payload="{}", outcome="failed")
        for number in range(ENOUGH + 5)
    )
    assert needs(staff()) == ["1,000+ webhook events could not be understood and were kept."]


# Beat


@pytest.mark.parametrize(
    ("ago", "running"), [(timedelta(0), True), (2 * MINUTE, True), (3 * MINUTE, False), (-5 * MINUTE, True)]
)
def test_a_beat_that_is_not_seen_for_two_minutes_is_trouble(staff, ago, running):
    PeriodicTask.objects.filter(name=health.SWEEP).update(last_run_at=NOW - ago)
    assert any("beat" in need for need in needs(staff())) != running


def test_a_beat_that_never_ran_is_said_not_to_have(staff):
    assert "It was never seen." in text(staff())
    PeriodicTask.objects.all().delete()
    assert "It was never seen." in text(staff())


# What goes through


def test_messages_of_a_day_and_a_week_are_told_by_direction(staff, chat, beat):
    for at in (NOW, NOW - 20 * MINUTE, NOW - 23 * HOUR, NOW - 24 * HOUR, NOW - 6 * 24 * HOUR):
        add(chat, at)
    add(chat, NOW, direction="out")
    figures.count_due()
    traffic = home(staff()).context["traffic"]
    assert (traffic.day.inbound, traffic.day.outbound) == (3, 1)
    assert (traffic.week.inbound, traffic.week.outbound) == (5, 1)
    assert [column.inbound for column in traffic.hours_of_day] == [1] + 22 * [0] + [2]
    assert [column.start.hour for column in traffic.hours_of_day] == [*range(13, 24), *range(13)]
    assert sum(column.inbound for column in traffic.days) == 5


def test_numbers_and_columns_lead_to_the_messages_that_they_count(staff, chat, beat):
    for number, hours in enumerate((0, 1, 5, 23, 24, 100)):
        for _message in range(number + 1):
            add(chat, NOW - hours * HOUR)
            add(chat, NOW - hours * HOUR, direction="out")
        add(chat, NOW - hours * HOUR)
    figures.count_due()
    client = staff()
    traffic = home(client).context["traffic"]

    def shown(url):
        return client.get(url).context["cl"].result_count

    assert shown(traffic.day.inbound_url) == traffic.day.inbound == 14
    assert shown(traffic.day.outbound_url) == traffic.day.outbound == 10
    for column in (*traffic.hours_of_day, *traffic.days):
        assert shown(column.url) == column.inbound + column.outbound
        assert html.escape(column.url) in home(client).content.decode()


def test_an_hour_long_ago_is_listed_by_a_range_of_ids(staff, chat, beat):
    first, last = add(chat, NOW - 100 * HOUR), add(chat, NOW - 100 * HOUR)
    add(chat)
    figures.count_due()
    hours = home(staff()).context["traffic"].hours_of_week
    [column] = [hour for hour in hours if hour.start == (NOW - 100 * HOUR).replace(minute=0)]
    assert f"id__gte={first.pk}&" in column.url
    assert f"id__lte={last.pk}" in column.url
    [empty] = [hour for hour in hours if hour.start == (NOW - 99 * HOUR).replace(minute=0)]
    assert "id__lte=0" in empty.url


def test_times_of_delivery_are_told(staff, chat, beat):
    for took in (1, 1, 200):
        add(chat, NOW - HOUR, status="sent", settled_at=NOW - HOUR + timedelta(seconds=took))
    figures.count_due()
    assert re.search(r"To customers, 24 hours 1\.\d s 3\.\d min", text(staff()))


def test_what_is_shown_says_how_old_it_is(staff, chat, beat, clock):
    client = staff()
    assert "have not been counted yet" in text(client)
    add(chat)
    figures.count_due()
    clock.shift(3 * HOUR)
    assert "were counted 3 hours ago" in text(client)
    assert text(client).count("not counted") >= 2  # the hours since


def test_an_hour_that_another_clock_has_reached_already_is_no_trouble(staff, beat):
    HourlyFigures.objects.create(hour=NOW + HOUR, direction="in", messages=5, counted_at=NOW + HOUR)
    assert home(staff()).context["traffic"].week.inbound == 0


@pytest.mark.parametrize(("most", "top"), [(0, 10), (9, 10), (11, 15), (99, 100), (101, 150), (1_000, 1_000)])
def test_the_scale_ends_with_a_round_number(most, top):
    column = charts.Column([NOW], [HourlyFigures(hour=NOW, direction="in", messages=most)])
    assert charts.top([column]) == top


# States


def test_portals_and_lines_are_counted_by_state_and_lead_to_their_lists(staff, line, beat):
    make_trouble(line)
    client = staff()
    counted = {}
    for state in home(client).context["states"]:
        for row in state["counts"]:
            counted[row["label"]] = row["count"]
            assert str(client.get(row["url"]).context["cl"].result_count) == row["count"]
    assert counted == {
        "Active": "5", "Needs re-install": "2", "Uninstalled": "1",
        "Connecting": "1", "Needs attention": "4", "Disconnected": "0",
    }  # fmt: skip


def test_waiting_and_failed_deliveries_lead_to_their_lists(staff, line, beat):
    make_trouble(line)
    client = staff()
    outbox = home(client).context["outbox"]
    assert (outbox.waiting.text, outbox.failed.text) == ("6", "7")
    for rows in (outbox.waiting, outbox.failed):
        assert client.get(rows.url).context["cl"].result_count == rows.count


# Rights


def test_who_may_see_nothing_is_told_so_and_shown_nothing(client, line):
    make_trouble(line)
    figures.count_due()
    client.force_login(User.objects.create_user("bob", is_staff=True))
    answer = home(client)
    assert answer.context["needs"] == answer.context["states"] == []
    assert answer.context["outbox"] is answer.context["traffic"] is None
    shown = text(client)
    assert "You have no rights to look at anything yet." in shown
    assert WELL not in shown
    for hidden in ("Waiting", "Failed", "From customers", "Time of delivery", "Portals", "Lines"):
        assert hidden not in shown


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        (Portal, ["2 portals have", "3 portals expire", "Portals Active"]),
        (ExternalLine, ["4 lines do not", "5 lines work", "Lines Connecting"]),
        (Message, ["From customers", "Messages per hour"]),
        (Delivery, ["7 deliveries failed", "6 deliveries wait", "beat", "Time of delivery"]),
        (WebhookEvent, ["8 webhook events"]),
        (SnsTopic, ["9 SNS topics"]),
    ],
)
def test_each_right_shows_its_own_part_only(client, line, model, shown):
    make_trouble(line)
    user = User.objects.create_user("eve", is_staff=True)
    parts = {
        Portal: "portals have", ExternalLine: "lines work", Message: "Messages per hour",
        Delivery: "deliveries wait", WebhookEvent: "webhook events", SnsTopic: "SNS topics",
    }  # fmt: skip
    user.user_permissions.set(Permission.objects.filter(codename=f"view_{model._meta.model_name}"))
    client.force_login(user)
    page = re.sub(r"^.*?What needs you", "", text(client))  # behind the menu
    assert all(each in page for each in shown)
    assert not [text for other, text in parts.items() if other is not model and text in page]


def test_strangers_are_sent_to_the_login(client):
    assert client.get(HOME).headers["Location"].startswith("/admin/login/")


# An empty database, and a full one


def test_an_empty_database_has_a_page(staff, beat):
    shown = text(staff())
    assert WELL in shown
    assert "Portals Active 0" in shown


def test_the_page_takes_the_same_queries_for_many_rows(staff, fill, line):
    make_trouble(line)
    figures.count_due()
    client = staff()
    before = len(queries(client, HOME))
    fill(20)
    figures.count_due()
    assert len(queries(client, HOME)) == before <= 20


def test_the_page_reads_figures_in_place_of_messages(staff, chat):
    add(chat, status="sent", settled_at=NOW)
    figures.count_due()
    asked = queries(staff(), HOME)
    assert not [sql for sql in asked if "messaging_message" in sql]
    assert len([sql for sql in asked if "messaging_hourlyfigures" in sql]) == 1


@pytest.mark.parametrize(("table", "counts"), [("messaging_delivery", 2), ("messaging_webhookevent", 1)])
def test_the_large_tables_are_counted_by_indexes_and_up_to_a_limit(staff, line, table, counts):
    make_trouble(line)
    asked = [sql for sql in queries(staff(), HOME) if f'FROM "{table}"' in sql]
    assert len(asked) == counts
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for sql in asked:
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Limit" in plan
            assert "Seq Scan" not in plan
