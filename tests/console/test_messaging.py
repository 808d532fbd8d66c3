"""What support staff see of messages, and what they can do about them."""

import json
import uuid

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from messaging.models import Attachment, Chat, Delivery, Message, SnsTopic, WebhookEvent
from tests.console.desk import act, failed_message, list_url, page_url, queries

pytestmark = pytest.mark.django_db

MODELS = [Chat, Message, Delivery, WebhookEvent, SnsTopic]
NAMES = [model._meta.model_name for model in MODELS]


# Lists and pages


@pytest.mark.parametrize("name", NAMES)
def test_each_list_is_shown(staff, fill, name):
    fill(3)
    answer = staff().get(list_url(name))
    assert answer.status_code == 200
    assert answer.context["cl"].result_count == 3


@pytest.mark.parametrize("model", MODELS)
def test_each_page_is_shown_and_changes_nothing(staff, fill, model):
    fill(2)
    client = staff()
    row = model.objects.last()
    answer = client.get(page_url(row))
    assert answer.status_code == 200
    assert b'name="_save"' not in answer.content
    assert client.post(page_url(row), {}).status_code == 403
    assert client.get(reverse(f"admin:messaging_{model._meta.model_name}_add")).status_code == 403
    assert (
        client.get(reverse(f"admin:messaging_{model._meta.model_name}_delete", args=[row.pk])).status_code == 403
    )


@pytest.mark.parametrize("name", NAMES)
def test_strangers_are_sent_to_the_login(client, fill, name):
    fill()
    assert client.get(list_url(name)).status_code == 302


@pytest.mark.parametrize("model", MODELS)
def test_who_may_not_look_sees_nothing(client, fill, model):
    fill()
    client.force_login(User.objects.create_user("bob", is_staff=True))
    assert client.get(list_url(model._meta.model_name)).status_code == 403
    assert client.get(page_url(model.objects.first())).status_code == 403


def test_a_failure_is_shown_with_its_reason(staff, fill):
    fill()
    client = staff("read_message")
    for name in ("message", "delivery"):
        assert b"The window is closed." in client.get(list_url(name)).content
    page = client.get(page_url(Message.objects.get())).content
    assert page.count(b"The window is closed.") == 2  # of the message and of its delivery
    assert b"a.pdf" in page


def test_an_event_is_shown_with_payload_and_traceback(staff):
    event = WebhookEvent.objects.create(
        source="uspacy", key="1", payload='{"a": 17}', outcome="failed", error="Traceback ..."
    )
    page = staff().get(page_url(event)).content.decode()
    assert "{&quot;a&quot;: 17}" in page
    assert "Traceback ..." in page


def test_what_came_from_outside_is_shown_as_text(staff, line):
    script = "<script>alert(1)</script>"
    chat = Chat.objects.create(line=line, external_id="x", uspacy_id=uuid.uuid4(), name=script)
    failed_message(chat, text=script)
    WebhookEvent.objects.create(source="uspacy", key=script, payload=script)
    client = staff()
    for model in (Chat, Message, Delivery, WebhookEvent):
        for url in (list_url(model._meta.model_name), page_url(model.objects.get())):
            assert script.encode() not in client.get(url).content


@pytest.mark.parametrize("model", MODELS)
def test_no_secret_is_shown(staff, fill, model):
    fill()
    client = staff()
    for url in (list_url(model._meta.model_name), page_url(model.objects.first())):
        page = client.get(url).content.decode()
        for secret in ("s3cret", "whsec_shops", "eyJ-the-portals-token"):
            assert secret not in page


@pytest.mark.parametrize("name", ["chat", "message", "delivery", "webhookevent"])
def test_rows_are_found_by_their_ids(staff, fill, name):
    fill(3)
    wanted = Message.objects.select_related("chat").order_by("id")[1]
    terms = {
        "chat": str(wanted.chat.external_id),
        "message": str(wanted.uspacy_id),
        "delivery": str(wanted.uspacy_id),
        "webhookevent": WebhookEvent.objects.first().key,
    }
    answer = staff().get(list_url(name), {"q": terms[name]})
    assert answer.context["cl"].result_count == 1


# How much it costs


@pytest.mark.parametrize("name", NAMES)
def test_a_list_costs_the_same_whatever_is_in_it(staff, fill, name):
    client = staff()
    fill(2)
    few = len(queries(client, list_url(name)))
    fill(20)
    assert len(queries(client, list_url(name))) == few
    assert few < 12


def test_a_messages_page_costs_the_same_whatever_became_of_it(staff, fill):
    client = staff()
    fill(2)
    message = Message.objects.first()
    few = len(queries(client, page_url(message)))
    for _attempt in range(20):
        Delivery.objects.create(message=message, chat=message.chat, destination="customer")
        Attachment.objects.create(message=message, name="a.pdf")
    assert len(queries(client, page_url(message))) == few


@pytest.mark.parametrize("parameters", [{}, {"q": "x"}])
@pytest.mark.parametrize("name", NAMES)
def test_no_list_counts_a_whole_table(staff, fill, name, parameters):
    fill(60)
    url = f"{list_url(name)}?{'&'.join(f'{key}={value}' for key, value in parameters.items())}"
    assert [sql for sql in queries(staff(), url) if "COUNT(" in sql or "OFFSET" in sql] == []


# Send again


def test_a_failed_delivery_is_sent_again_and_others_are_not(staff, fill):
    fill(2)
    failed, sent = Delivery.objects.order_by("id")
    Delivery.objects.filter(pk=sent.pk).update(status="sent")
    Message.objects.filter(pk=sent.message_id).update(status="sent")
    page = act(staff("requeue_delivery"), "delivery", "send_again", failed, sent)
    assert "1 of 2 are sent again; the others have not failed." in page
    [again] = Delivery.objects.open()
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
    client = staff("reprocess_webhookevent", "approve_snstopic")
    assert b"send_again" not in client.get(list_url("delivery")).content
    act(client, "delivery", "send_again", Delivery.objects.get())
    assert not Delivery.objects.open().exists()


# Process again


def operator_event(chat, text="Hi"):
    entity = {
        "id": str(uuid.uuid4()),
        "chatId": str(chat.uspacy_id),
        "externalLine": chat.line.uspacy_id,
        "message": text,
    }
    data = {"action": "create", "domain": chat.line.portal.domain, "entity": entity}
    return WebhookEvent.objects.create(
        source="uspacy", key=entity["id"], payload=json.dumps({"type": "message", "data": data}), outcome="failed"
    )


def test_failed_events_are_processed_again_in_their_order(staff, fill):
    fill()
    chat = Chat.objects.get()
    events = [operator_event(chat, text) for text in ("one", "two")]
    page = act(staff("reprocess_webhookevent"), "webhookevent", "process_again", *reversed(events))
    assert page.count(": Accepted") == 2
    assert [row.message.text for row in Delivery.objects.open().order_by("id")] == ["one", "two"]
    assert set(WebhookEvent.objects.filter(pk__in=[event.pk for event in events]).values_list("outcome")) == {
        ("accepted",)
    }


def test_an_event_that_fails_again_says_so_and_keeps_its_traceback(staff):
    event = WebhookEvent.objects.create(source="uspacy", key="1", payload="not JSON", outcome="failed")
    page = act(staff("reprocess_webhookevent"), "webhookevent", "process_again", event)
    assert "uspacy 1: Failed" in page
    event.refresh_from_db()
    assert "InvalidPayload" in event.error


@pytest.mark.parametrize("source", ["4d0488eb-b106-4b9d-b60c-10bbf8c84a82", "nonsense"])
def test_an_event_of_a_line_that_is_gone_fails_again(staff, source):
    event = WebhookEvent.objects.create(source=source, key="1", payload="{}", outcome="failed")
    page = act(staff("reprocess_webhookevent"), "webhookevent", "process_again", event)
    assert f"{source} 1: failed" in page.lower()


def test_an_event_of_no_concern_tells_why(staff):
    event = WebhookEvent.objects.create(source="uspacy", key="1", payload='{"type": "deal"}', outcome="failed")
    page = act(staff("reprocess_webhookevent"), "webhookevent", "process_again", event)
    assert "uspacy 1: Ignored not a message" in page


def test_without_permission_nothing_is_processed_again(staff, fill):
    fill()
    event = operator_event(Chat.objects.get())
    client = staff("requeue_delivery", "approve_snstopic")
    assert b"process_again" not in client.get(list_url("webhookevent")).content
    act(client, "webhookevent", "process_again", event)
    event.refresh_from_db()
    assert event.outcome == "failed"


# Topics


def test_a_topic_is_approved_and_then_rejected(staff, fill):
    fill(2)
    chosen, other = SnsTopic.objects.order_by("id")
    SnsTopic.objects.update(error="404")
    client = staff("approve_snstopic")
    assert "Approved." in act(client, "snstopic", "approve", chosen)
    chosen.refresh_from_db()
    assert (chosen.status, chosen.error) == ("approved", "")
    assert "Rejected." in act(client, "snstopic", "reject", chosen)
    chosen.refresh_from_db()
    other.refresh_from_db()
    assert (chosen.status, other.status) == ("rejected", "pending")


@pytest.mark.parametrize("action", ["approve", "reject"])
def test_without_permission_no_topic_is_decided_on(staff, fill, action):
    fill()
    client = staff("requeue_delivery", "reprocess_webhookevent")
    page = client.get(list_url("snstopic")).content.decode()
    assert f'value="{action}"' not in page
    act(client, "snstopic", action, SnsTopic.objects.get())
    assert SnsTopic.objects.get().status == "pending"
