"""The outbox as staff see it, "send again" and "give up"."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models.functions import Now
from django.db.models.signals import post_save
from django.urls import reverse
from django.utils import timezone

from console import resending
from externallines.models import ExternalLine
from messaging import dead_ends
from messaging.models import Chat, Delivery, Message
from portals.models import Portal
from tests.console.desk import act, failed_message, list_url, page_url, queries

pytestmark = pytest.mark.django_db

LIST = "/admin/messaging/delivery/"


@pytest.fixture
def chat(line):
    ExternalLine.objects.update(status="active")
    return Chat.objects.create(line=line, external_id="ann", uspacy_id=uuid.uuid4(), name="Ann")


@pytest.fixture
def waiting(chat):
    """Append a delivery that waits to the chat's lane."""

    def waiting(**fields):
        message = Message.objects.create(chat=chat, direction="out", uspacy_id=uuid.uuid4(), text="Hi")
        return Delivery.objects.create(message=message, chat=chat, **{"destination": "customer", **fields})

    return waiting


def failed(chat, failure="Refused", **fields):
    row = failed_message(chat, external_id=f"{uuid.uuid4()}").deliveries.get()
    Delivery.objects.filter(pk=row.pk).update(failure=failure, **fields)
    return Delivery.objects.get(pk=row.pk)


def listed(client, **parameters):
    answer = client.get(list_url("delivery"), parameters)
    assert answer.status_code == 200
    return [row.pk for row in answer.context["cl"].result_list]


# The list and its filters


def test_what_failed_or_waits_is_listed_until_another_state_is_chosen(staff, chat, waiting):
    no, open_, sent = failed(chat), waiting(), waiting(status="sent")
    client = staff()
    assert listed(client) == [open_.pk, no.pk]
    assert listed(client, status__exact="failed") == [no.pk]
    assert listed(client, status__exact="open") == [open_.pk]
    assert listed(client, status__exact="sent") == [sent.pk]
    assert listed(client, status__exact="all") == [sent.pk, open_.pk, no.pk]
    assert listed(client, status__exact="nonsense") == [open_.pk, no.pk]


@pytest.mark.parametrize("parameter", ["message", "chat", "q"])
def test_all_of_a_message_or_chat_is_listed(staff, waiting, parameter):
    sent = waiting(status="sent")
    value = {"message": sent.message_id, "chat": sent.chat_id, "q": sent.message.uspacy_id}[parameter]
    assert listed(staff(), **{parameter: value}) == [sent.pk]


def test_filters_narrow_the_list(staff, chat, waiting):
    other = ExternalLine.objects.create(
        portal=Portal.objects.create(domain="other.uspacy.ua"), channel="viber", name="V", external_id="v"
    )
    elsewhere = Chat.objects.create(line=other, external_id="bob", uspacy_id=uuid.uuid4())
    old = failed(chat, failure="Blocked", created_at=Now() - timedelta(days=3))
    edit, theirs = waiting(kind="edit", destination="uspacy"), failed(elsewhere, failure="WindowClosed")
    client = staff()
    yesterday = f"{timezone.now() - timedelta(days=1):%Y-%m-%dT%H:%M}"
    for parameters, wanted in (
        ({"failure": "Blocked"}, [old]),
        ({"failure": "nonsense"}, [theirs, edit, old]),
        ({"kind": "edit"}, [edit]),
        ({"destination": "uspacy"}, [edit]),
        ({"channel": "viber"}, [theirs]),
        ({"portal": "OTHER"}, [theirs]),
        ({"portal": "nobody"}, []),
        ({"since": yesterday}, [theirs, edit]),
        ({"until": yesterday}, [old]),
        ({"since": "soon"}, [theirs, edit, old]),
        ({"status__exact": "failed", "channel": "webhook"}, [old]),
    ):
        assert listed(client, **parameters) == [row.pk for row in wanted], parameters


def test_what_went_wrong_is_named(staff, chat):
    failed(chat, failure="WindowClosed")
    page = staff().get(list_url("delivery")).content.decode()
    assert dead_ends.DEAD_ENDS["WindowClosed"].name in page


def test_a_list_in_every_state_costs_the_same(staff, chat, waiting):
    client = staff("requeue_delivery")
    costs = set()
    for count in (2, 20):
        for _row in range(count):
            waiting()
            failed(chat, failure="Refused")
        for state in ("unsettled", "open", "failed", "all"):
            url = f"{LIST}?status__exact={state}&channel=webhook&portal=acme"
            costs.add(len(queries(client, url)))
    assert max(costs) - min(costs) <= 1  # whether there is a row behind the last one that was looked through
    assert max(costs) < 12


# The page of one


def test_a_failure_is_explained(staff, chat):
    row = failed(chat, failure="Blocked")
    page = staff().get(page_url(row)).content.decode()
    entry = dead_ends.DEAD_ENDS["Blocked"]
    for sentence in (entry.name, entry.meaning, entry.advice, "The window is closed."):
        assert sentence in page


def test_a_failure_that_was_sent_again_says_so(staff, chat):
    row = failed(chat)
    client = staff("requeue_delivery")
    assert 'value="send_again"' in client.get(page_url(row)).content.decode()
    act(client, "delivery", "send_again", row)
    page = client.get(page_url(row)).content.decode()
    assert "It was sent again since" in page
    assert 'value="send_again"' not in page


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda row: Portal.objects.update(status="needs_reinstall"), "The app has to be installed again on"),
        (lambda row: ExternalLine.objects.update(status="error", error="No token."), "needs attention: No token."),
        (
            lambda row: Delivery.objects.filter(pk=row.pk).update(
                failure="ServerFault", error="502", attempts=3, available_at=Now() + timedelta(minutes=9)
            ),
            dead_ends.DEAD_ENDS["ServerFault"].meaning,
        ),
        (
            lambda row: Delivery.objects.filter(pk=row.pk).update(
                in_hand=True, available_at=Now() + timedelta(minutes=2)
            ),
            "A worker is at it right now.",
        ),
        (
            lambda row: Delivery.objects.filter(pk=row.pk).update(available_at=Now() + timedelta(minutes=1)),
            "There is no room for another call",
        ),
        (lambda row: Chat.objects.update(held_until=Now() + timedelta(minutes=1)), "has not yet told"),
        (lambda row: None, "A worker takes it in a moment."),
    ],
)
def test_what_waits_says_for_what(staff, waiting, change, reason):
    row = waiting()
    change(row)
    assert reason in staff().get(page_url(row)).content.decode()


def test_what_waits_says_until_when(staff, waiting):
    row = waiting(available_at=Now() + timedelta(minutes=9, seconds=30), failure="ServerFault")
    page = staff().get(page_url(row)).content.decode()
    assert "in 9\xa0minutes" in page
    assert "in 23\xa0hours" in page  # is it given up
    Portal.objects.update(status="uninstalled")
    assert "never: it waits until that is mended" in staff().get(page_url(row)).content.decode()


def test_what_is_before_it_in_its_lane_is_shown(staff, waiting):
    first, elsewhere = waiting(), waiting(destination="uspacy")
    last = waiting()
    client = staff()
    page = client.get(page_url(last)).content.decode()
    assert "order is kept" in page
    assert page_url(first) in page
    assert page_url(elsewhere) not in page
    few = len(queries(client, page_url(last)))
    for _row in range(20):
        waiting()
    assert len(queries(client, page_url(waiting()))) == few


# Send again


def test_a_failed_delivery_is_sent_again_and_others_are_not(staff, fill):
    fill(2)
    failed, waits = Delivery.objects.order_by("id")
    Delivery.objects.filter(pk=waits.pk).update(status="open")
    page = act(staff("requeue_delivery"), "delivery", "send_again", failed, waits)
    assert "1 of 2 are sent again; the others have not failed" in page
    [again] = Delivery.objects.open().exclude(pk=waits.pk)
    assert (again.message, again.destination, again.kind) == (failed.message, "customer", "message")
    failed.message.refresh_from_db()
    assert (failed.message.status, failed.message.error) == ("queued", "")


def test_a_failure_is_sent_again_once(staff, fill):
    fill()
    client, failed = staff("requeue_delivery"), Delivery.objects.get()
    act(client, "delivery", "send_again", failed)
    page = act(client, "delivery", "send_again", failed)
    assert "0 of 1 are sent again" in page
    assert Delivery.objects.count() == 2


def test_failures_are_sent_again_in_their_order(staff, fill):
    fill()
    chat = Chat.objects.get()
    for number in range(3):
        failed_message(chat, external_id=f"later {number}")
    act(staff("requeue_delivery"), "delivery", "send_again", *Delivery.objects.order_by("?"))
    messages = list(Message.objects.order_by("id"))
    assert [row.message for row in Delivery.objects.open().order_by("id")] == messages


def test_without_permission_nothing_is_sent_again(staff, fill):
    fill()
    client = staff("give_up_delivery", "reprocess_webhookevent", "approve_snstopic")
    assert b"send_again" not in client.get(list_url("delivery")).content
    act(client, "delivery", "send_again", Delivery.objects.get())
    assert not Delivery.objects.open().exists()


# Send all of a filter again


def resend_url(**parameters):
    return reverse("admin:messaging_delivery_resend", query=parameters)


def test_all_failures_of_a_filter_are_sent_again_once_that_is_confirmed(staff, chat):
    blocked = [failed(chat, failure="Blocked") for _row in range(3)]
    again = failed(chat, failure="Blocked")
    failed(chat, failure="Refused")
    client = staff("requeue_delivery")
    act(client, "delivery", "send_again", again)
    assert f"{resend_url()}?failure=Blocked" in client.get(f"{LIST}?failure=Blocked").content.decode()
    url = resend_url(failure="Blocked")
    assert "3 failures are sent again" in " ".join(client.get(url).content.decode().split())
    assert Delivery.objects.open().count() == 1  # to look at the page changes nothing
    answer = client.post(url, {"until": client.get(url).context["until"]}, follow=True)
    assert "3 are sent again." in answer.content.decode()
    assert [row.message_id for row in Delivery.objects.open().order_by("id")][1:] == [
        row.message_id for row in blocked
    ]
    noted = LogEntry.objects.filter(change_message__startswith="Sent again, with")
    assert {entry.object_id for entry in noted} == {str(row.pk) for row in blocked}


def test_sieves_of_the_list_count_too(staff, chat):
    failed(chat)
    client = staff("requeue_delivery")
    assert client.get(resend_url(channel="viber")).context["count"] == 0
    assert client.get(resend_url(channel="webhook")).context["count"] == 1


def test_many_are_sent_in_batches_and_what_is_left_is_told(staff, chat, monkeypatch):
    monkeypatch.setattr(resending, "AT_ONCE", 2)
    monkeypatch.setattr(resending, "COUNTED", 3)
    for _row in range(5):
        failed(chat)
    client = staff("requeue_delivery")
    page = client.get(resend_url())
    assert "At least 3 failures" in page.content.decode()
    until = page.context["until"]
    later = failed(chat)  # was not asked about
    left = []
    for _click in range(2):
        left.append(client.post(resend_url(), {"until": until}).context["count"])
    assert client.post(resend_url(), {"until": until}).status_code == 302
    assert left == [3, 1]
    assert Delivery.objects.open().count() == 5
    assert Delivery.objects.resendable().get() == later


def test_without_permission_no_filter_is_sent_again(staff, chat):
    failed(chat)
    client = staff("give_up_delivery")
    assert resend_url() not in client.get(list_url("delivery")).content.decode()
    assert client.get(resend_url()).status_code == 403
    assert client.post(resend_url()).status_code == 403
    assert not Delivery.objects.open().exists()


# Give up


def test_what_waits_is_given_up_and_that_is_recorded(staff, waiting, chat):
    row, other = waiting(), failed(chat)
    client = staff("give_up_delivery")
    assert 'value="give_up"' in client.get(page_url(row)).content.decode()
    page = act(client, "delivery", "give_up", row, other)
    assert "1 of 2 are given up" in page
    row.refresh_from_db()
    name = client.session["_auth_user_id"]
    assert (row.status, row.failure) == ("failed", "GivenUp")
    assert LogEntry.objects.get(change_message="Given up.").user_id == int(name)
    assert "It is given up." in act(client, "delivery", "give_up", waiting())


def test_what_a_worker_has_in_hand_is_not_given_up(staff, waiting):
    row = waiting(in_hand=True, available_at=Now() + timedelta(minutes=1))
    assert "0 of 1 are given up" in act(staff("give_up_delivery"), "delivery", "give_up", row)
    row.refresh_from_db()
    assert row.status == "open"


def test_without_permission_nothing_is_given_up(staff, waiting):
    row = waiting()
    client = staff("requeue_delivery")
    assert 'value="give_up"' not in client.get(page_url(row)).content.decode()
    act(client, "delivery", "give_up", row)
    row.refresh_from_db()
    assert row.status == "open"


@pytest.fixture
def log_breaks():
    """After the first entry, nothing more can be written down."""

    def refuse(**kwargs):
        if LogEntry.objects.count() > 1:
            raise RuntimeError("the log is full")

    post_save.connect(refuse, sender=LogEntry)
    yield
    post_save.disconnect(refuse, sender=LogEntry)


def test_what_is_sent_again_is_on_record_even_if_the_rest_breaks(staff, fill, log_breaks):
    fill(3)
    client = staff("requeue_delivery")
    with pytest.raises(RuntimeError):
        client.post(reverse("admin:messaging_delivery_resend"))
    [again] = Delivery.objects.filter(status="open")
    assert again.message.deliveries.filter(pk=LogEntry.objects.get().object_id).exists()


@pytest.mark.parametrize(("action", "before"), [("send_again", "failed"), ("give_up", "open")])
def test_what_is_done_to_chosen_ones_is_on_record_even_if_the_rest_breaks(staff, fill, log_breaks, action, before):
    fill(3)
    Delivery.objects.update(status=before)
    rows = list(Delivery.objects.order_by("id"))
    with pytest.raises(RuntimeError):
        act(staff("requeue_delivery", "give_up_delivery"), "delivery", action, *rows)
    assert LogEntry.objects.count() == 1
    after = {"failed": "open", "open": "failed"}[before]
    assert Delivery.objects.filter(status=after, kind="message").count() == 1
