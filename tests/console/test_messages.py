"""Messages are found by state, direction, channel, portal, time and ids; the page of one tells all about it."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import Q

from console import messages, sieve
from console.moments import first_since
from externallines.models import ExternalLine
from messaging.models import Attachment, Chat, Delivery, Message, WebhookEvent
from portals.models import Portal
from tests.console.desk import failed_message, list_url, page_url, queries

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
READ = "read_message"
LIST = list_url("message")


@pytest.fixture
def chat(line):
    return Chat.objects.create(line=line, external_id="ann", uspacy_id=uuid.uuid4(), name="Ann")


@pytest.fixture
def elsewhere():
    """A chat of another portal and channel."""
    portal = Portal.objects.create(domain="other.uspacy.ua")
    line = ExternalLine.objects.create(portal=portal, channel="telegram", name="Bot", external_id="bot")
    return Chat.objects.create(line=line, external_id="bob", uspacy_id=uuid.uuid4(), name="Bob")


def say(chat, text="Hi", **fields):
    fields = {"direction": "in", "status": "sent", "uspacy_id": uuid.uuid4(), **fields}
    return Message.objects.create(chat=chat, text=text, **fields)


def listed(client, **filters):
    answer = client.get(LIST, filters)
    assert answer.status_code == 200
    return list(answer.context["cl"].result_list)


def test_messages_are_filtered(staff, chat, elsewhere):
    heard, told, failed = say(chat), say(elsewhere, direction="out", status="read"), failed_message(chat)
    client = staff()
    assert listed(client) == [failed, told, heard]
    assert listed(client, status="failed") == [failed]
    assert listed(client, status="read") == [told]
    assert listed(client, direction="in") == [heard]
    assert listed(client, channel="telegram") == listed(client, portal="other") == [told]
    assert listed(client, portal="ACME") == [failed, heard]
    assert listed(client, portal="acme", direction="out") == [failed]
    assert listed(client, status="failed", channel="telegram") == listed(client, portal="nobody") == []


def test_messages_are_filtered_by_time(staff, chat):
    said = [say(chat, created_at=NOON + timedelta(minutes=number)) for number in range(30)]
    client = staff()
    assert listed(client, since="2026-01-01T12:27") == said[:26:-1]
    assert listed(client, until="2026-01-01T12:02") == said[1::-1]
    assert listed(client, since="2026-01-01T12:10", until="2026-01-01T12:12") == [said[11], said[10]]
    assert listed(client, since="2026-01-02T00:00") == listed(client, until="2026-01-01T12:00") == []
    assert len(listed(client, since="nonsense")) == 30


@pytest.mark.parametrize("number", range(40))
def test_the_first_message_since_a_moment_is_found_wherever_it_is(chat, number):
    said = [say(chat, created_at=NOON + timedelta(seconds=number // 2)) for number in range(40)]
    Message.objects.filter(pk__in=[message.pk for message in said[::3]]).delete()  # ids have gaps
    moment = NOON + timedelta(seconds=number // 2)
    wanted = Message.objects.filter(created_at__gte=moment).order_by("pk").first()
    found = Message.objects.filter(pk__gte=first_since(Message, "created_at", moment)).order_by("pk").first()
    assert found == wanted


def test_a_time_in_an_empty_table_finds_nothing(staff):
    assert listed(staff(), since="2026-01-01T12:00") == []


@pytest.mark.parametrize(
    "find",
    [
        lambda message: message.external_id,
        lambda message: message.earlier_ids[0],
        lambda message: str(message.uspacy_id),
        lambda message: str(message.pk),
    ],
)
def test_a_message_is_found_by_its_ids(staff, chat, find):
    say(chat, external_id="other")
    wanted = say(chat, external_id="wamid.7", earlier_ids=["wamid.6"])
    assert listed(staff(), q=find(wanted)) == [wanted]


@pytest.mark.parametrize("text", ["nobody", "9" * 30, "²"])
def test_an_id_of_nothing_finds_nothing(staff, chat, text):
    say(chat)
    assert listed(staff(), q=text) == []


def test_a_filter_without_an_index_looks_through_so_many_rows_at_a_time(staff, chat, monkeypatch):
    monkeypatch.setattr(sieve, "LOOKED_THROUGH", 10)
    wanted = say(chat, direction="out")
    for _number in range(12):
        say(chat)
    client = staff()
    first = client.get(LIST, {"direction": "out"})
    assert list(first.context["cl"].result_list) == []
    assert "go on to see what is in older ones" in first.content.decode()
    second = client.get(f"{LIST}{first.context['cl'].next_url}").context["cl"]
    assert (list(second.result_list), second.next_url) == ([wanted], "")


def test_a_filter_has_each_row_once(staff, chat):
    said = [say(chat, direction="out" if number % 2 else "in") for number in range(130)]
    client, url, found = staff(), f"{LIST}?direction=out", []
    while url != LIST:
        page = client.get(url).context["cl"]
        found += page.result_list
        url = f"{LIST}{page.next_url}"
    assert found == said[::-2]


def test_the_page_tells_all_about_a_message(staff, chat):
    question = say(chat, "What size?")
    message = failed_message(chat, text="It is 38", parent=question, external_id="wamid.7", author_id="op-9")
    reply = say(chat, "Thanks", parent=message)
    Attachment.objects.create(message=message, name="bill.pdf", size=2048, kind="file", error="It is too large.")
    event = WebhookEvent.objects.create(source="uspacy", key="1", payload="{}")
    Message.objects.filter(pk=message.pk).update(event=event)
    html = staff(READ).get(page_url(message)).content.decode()
    told = ("It is 38", "What size?", "bill.pdf", "It is too large.", "wamid.7", "op-9", str(message.uspacy_id))
    for shown in (*told, page_url(question), page_url(reply), page_url(event), page_url(message.deliveries.get())):
        assert shown in html, shown
    assert f"{page_url(chat)}?around={message.pk}#m{message.pk}" in html


def test_a_page_shows_only_the_newest_of_many_deliveries(staff, chat):
    message = failed_message(chat)
    for _number in range(30):
        Delivery.objects.create(message=message, chat=chat, destination="customer")
    html = staff().get(page_url(message)).content.decode()
    assert html.count("/admin/messaging/delivery/") == messages.SHOWN + 2  # and the menu, and the link to all
    assert f"?message={message.pk}" in html


def test_who_may_sends_again_from_the_page_of_a_message(staff, chat):
    message = failed_message(chat)
    assert "send_again" in staff("requeue_delivery").get(page_url(message)).content.decode()
    assert "send_again" not in staff().get(page_url(message)).content.decode()


def test_without_the_right_no_text_is_read(staff, chat):
    message = say(chat, "My card is 4111", parent=say(chat, "Secret question?"))
    Attachment.objects.create(message=message, name="passport-anna.pdf")
    client = staff()
    for url in (LIST, page_url(message)):
        html = client.get(url).content.decode()
        assert "•••• 15 characters" in html
        for secret in ("4111", "Secret", "passport"):
            assert secret not in html
    client = staff(READ)
    for url in (LIST, page_url(message)):
        assert "My card is 4111" in client.get(url).content.decode()


def test_a_page_costs_the_same_whatever_became_of_its_message(staff, chat):
    message = failed_message(chat, parent=say(chat))
    client = staff()
    say(chat, parent=message)
    Attachment.objects.create(message=message, name="a.pdf")
    few = len(queries(client, page_url(message)))
    for _number in range(30):
        Delivery.objects.create(message=message, chat=chat, destination="customer")
        Attachment.objects.create(message=message, name="a.pdf")
        say(chat, parent=message)
    assert len(queries(client, page_url(message))) == few
    assert few <= 12


@pytest.mark.parametrize(
    "filters", ["status=read", "portal=acme", "since=2026-01-01T12:00", "channel=webhook&q=x"]
)
def test_a_filtered_list_costs_the_same_whatever_is_in_it(staff, chat, filters):
    client, url = staff(), f"{LIST}?{filters}"
    say(chat, status="read")
    few = len(queries(client, url))
    for _number in range(60):
        say(chat, status="read")
    assert len(queries(client, url)) <= few
    assert few <= 12


def test_rows_that_are_pruned_while_a_list_is_read_are_no_hindrance(fill, monkeypatch):
    monkeypatch.setattr(sieve, "LOOKED_THROUGH", 2)
    fill(4)
    wanted = Message.objects.order_by("-id")[0]

    def prune(execute, *args):
        answer = execute(*args)
        if not pruned:
            pruned.append(True)
            Message.objects.exclude(pk=wanted.pk).update(parent=None)
            Message.objects.exclude(pk=wanted.pk).delete()
        return answer

    pruned = []
    with connection.execute_wrapper(prune):
        page = sieve.sift(Message.objects.all(), [Q(direction="out")], ("-id",), size=10)
    assert page.rows == [wanted]
