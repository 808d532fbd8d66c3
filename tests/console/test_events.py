"""Webhook events as staff see them: masked, explained, processed again."""

import json
import uuid

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from console import events, payloads
from messaging.models import Chat, Delivery, Message, WebhookEvent
from tests.console.desk import act, list_url, page_url, queries

pytestmark = pytest.mark.django_db


def stored(payload, source="uspacy", **fields):
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return WebhookEvent.objects.create(source=source, key=f"{uuid.uuid4()}", payload=text, **fields)


def page_of(client, event):
    return client.get(page_url(event)).content.decode()


def listed(client, **parameters):
    answer = client.get(list_url("webhookevent"), parameters)
    return [row.pk for row in answer.context["cl"].result_list]


# What is shown of a payload


TELEGRAM = {
    "update_id": 17,
    "message": {
        "message_id": 5,
        "date": 1730000000,
        "from": {"id": 42, "first_name": "Ann", "username": "ann", "language_code": "uk", "is_bot": False},
        "text": "My PIN is 4711",
        "entities": [{"type": "url", "offset": 0, "url": "https://diary.example"}],
        "location": {"latitude": 50.45, "name": "At home"},
        "contact": {"first_name": "Mother", "phone_number": "+380"},
        "document": {"file_id": "f1", "mime_type": "image/png", "file_size": 7, "file_name": "diagnosis.png"},
    },
}
WHATSAPP = {
    "contacts": [{"profile": {"name": "Ann"}, "wa_id": "380501234567"}],
    "messages": [{"from": "380501234567", "id": "wamid.1", "type": "text", "text": {"body": "My PIN is 4711"}}],
}
USPACY_EVENT = {
    "type": "message",
    "data": {
        "action": "create",
        "entity": {"id": "65a0d6a4-0000-4000-8000-000000000001", "message": "My PIN is 4711", "createdAt": 1},
    },
}


@pytest.mark.parametrize("payload", [TELEGRAM, WHATSAPP, USPACY_EVENT])
def test_what_people_wrote_is_shown_only_to_those_who_may_read_it(staff, payload):
    event = stored(payload)
    assert "My PIN is 4711" in page_of(staff("read_message"), event)
    page = page_of(staff(), event)
    assert "4711" not in page
    assert "To read it takes another right." in page


@pytest.mark.parametrize("secret", ["diary.example", "50.45", "At home", "Mother", "+380", "diagnosis"])
def test_what_else_is_personal_is_hidden(secret):
    assert secret in payloads.show(json.dumps(TELEGRAM), readable=True).text
    assert secret not in payloads.show(json.dumps(TELEGRAM), readable=False).text


def test_ids_kinds_times_and_names_are_shown_to_all():
    shown = json.loads(payloads.show(json.dumps(TELEGRAM), readable=False).text)
    assert (shown["update_id"], shown["message"]["date"]) == (17, 1730000000)
    assert shown["message"]["from"] == TELEGRAM["message"]["from"]
    assert shown["message"]["entities"][0]["type"] == "url"
    assert shown["message"]["document"]["mime_type"] == "image/png"
    assert "wamid.1" in payloads.show(json.dumps(WHATSAPP), readable=False).text
    assert "65a0d6a4-0000" in payloads.show(json.dumps(USPACY_EVENT), readable=False).text


@pytest.mark.parametrize(
    "payload",
    [
        {"attachments": [{"name": "hidden.pdf", "type": "file"}]},
        {"message": {"file": {"name": "hidden"}}},
        {"messages": [{"contacts": [{"name": {"first_name": "hidden"}, "phones": [{"wa_id": "hidden"}]}]}]},
        {"message": {"passport_data": {"data": [{"phone_number": "hidden"}]}}},
        {"status": "this is hidden"},
        {"key": "hidden\nand more", "source": "my hidden words", "id": "hidden " * 9},
    ],
)
def test_names_of_files_and_of_third_persons_and_sentences_are_hidden(payload):
    assert "hidden" in payloads.show(json.dumps(payload), readable=True).text
    shown = payloads.show(json.dumps(payload), readable=False).text
    assert "hidden" not in shown


def test_the_name_of_who_wrote_is_shown_to_all():
    payload = {"sender": {"id": "7", "name": "Ann Koval"}, "user": {"name": "Ann Koval"}, **WHATSAPP}
    shown = json.loads(payloads.show(json.dumps(payload), readable=False).text)
    assert (shown["sender"]["name"], shown["user"]["name"]) == ("Ann Koval", "Ann Koval")
    assert shown["contacts"] == WHATSAPP["contacts"]


@pytest.mark.parametrize("readable", [True, False])
@pytest.mark.parametrize(
    "payload",
    [
        {"access_token": "s3cret"},
        {"a": {"Signature": "s3cret", "app_secret": ["s3cret"], "password": {"deep": "s3cret"}}},
        {"SubscribeURL": "https://sns.example/?Token=s3cret"},
        {"url": "https://cdn.example/a.jpg?sig=s3cret"},
        {"url": "https://ann:s3cret@example.org/"},
        {"id": "https://api.telegram.org/file/bot12345:s3cret-_x/photos/1.jpg"},
        {"key": "whsec_s3cretS3cret"},
        {"id": "123456789:AAs3cret_abcdefghijklmnopqrstuvwxyz0"},
        {"name": "eyJhbGciOi.eyJzM2NyZXQi.s3cret"},
        {"text": '{"token": "s3cret"}'},
        {"key": '[{"url": "https://x.example/?t=s3cret"}]'},
    ],
)
def test_secrets_are_shown_to_nobody(payload, readable):
    assert "s3cret" in json.dumps(payload)
    assert "s3cret" not in payloads.show(json.dumps(payload), readable=readable).text


def test_a_secret_in_what_is_no_json_is_hidden_and_the_rest_for_those_who_may_read():
    told = "Hello Ann https://x.example/?token=s3cret"
    shown = payloads.show(told, readable=True)
    assert "Hello Ann" in shown.text
    assert "s3cret" not in shown.text
    assert payloads.show(told, readable=False).text == ""


@pytest.mark.parametrize(
    "payload", [{"text": "x" * 3_000_000}, {"all": ["word"] * 500_000}, {"a": [[1] * 9] * 99_999}]
)
def test_of_a_large_payload_the_beginning_is_shown(payload):
    shown = payloads.show(json.dumps(payload), readable=True)
    assert len(shown.text) <= payloads.SHOWN_CHARACTERS
    assert "only the beginning is shown" in shown.note


def test_a_deep_payload_is_shown_as_far_as_it_goes():
    assert "…" in payloads.show("[" * 200 + "]" * 200, readable=True).text


def test_a_traceback_quotes_no_payload_to_those_who_may_not_read_it(staff):
    traceback = (
        'Traceback (most recent call last):\n  File "a.py", line 3, in parse\n    int(text)\n'
        "ValueError: invalid literal: 'My PIN\nis 4711'\n"
    )
    event = stored({}, outcome="failed", error=traceback)
    assert "4711" in page_of(staff("read_message"), event)
    page = page_of(staff(), event)
    assert "line 3, in parse" in page
    assert "ValueError" in page
    assert "PIN" not in page
    assert "4711" not in page


# The list and the page


def test_the_list_names_the_line_and_leads_to_it(staff, line):
    stored({}, source=f"{line.key}")
    stored({}, source=f"{uuid.uuid4()}")
    page = staff().get(list_url("webhookevent")).content.decode()
    assert f'<a href="/admin/externallines/externalline/{line.pk}/change/">Shop</a>' in page
    assert "A line that is gone" in page


def test_events_are_filtered_and_found(staff, line):
    ours, theirs = stored({}, outcome="failed"), stored({}, source=f"{line.key}", outcome="ignored")
    client = staff()
    assert listed(client, outcome__exact="failed") == [ours.pk]
    assert listed(client, outcome__exact="ignored") == [theirs.pk]
    assert listed(client, **{"from": "uspacy"}) == [ours.pk]
    assert listed(client, **{"from": "lines"}) == [theirs.pk]
    assert listed(client, q=ours.key) == [ours.pk]
    assert listed(client, q=f"{line.key}") == [theirs.pk]
    assert listed(client, q=f"{line.key} {theirs.key}") == [theirs.pk]
    assert listed(client, q="nothing") == []
    assert listed(client, since="2100-01-01T00:00") == []
    assert listed(client, until="2100-01-01T00:00") == [theirs.pk, ours.pk]


def test_the_list_costs_the_same_with_lines_and_leaves_payloads_where_they_are(staff, line):
    client = staff()
    stored({}, source=f"{line.key}")
    few = queries(client, list_url("webhookevent"))
    for _event in range(20):
        stored({}, source=f"{line.key}")
    assert len(queries(client, list_url("webhookevent"))) == len(few)
    assert not [sql for sql in few if "payload" in sql]


def test_a_failed_event_is_explained(staff):
    page = page_of(staff(), stored({}, outcome="failed"))
    assert "could not be read" in page
    assert "process it again once they have mended that" in page


def test_an_ignored_event_says_why(staff):
    assert "Nothing had to be done: an echo." in page_of(staff(), stored({}, outcome="ignored", reason="an echo"))


def test_an_event_of_uspacy_leads_to_its_message_or_chat(staff, fill):
    fill()
    message = Message.objects.get()
    entity = {"id": str(message.uspacy_id), "chatId": str(message.chat.uspacy_id)}
    client = staff()
    assert page_url(message) in page_of(client, stored({"data": {"entity": entity}}))
    entity["id"] = str(uuid.uuid4())
    assert page_url(message.chat) in page_of(client, stored({"data": {"entity": entity}}))
    assert events.told_of(stored({"data": {"entity": {"id": 5}}})) == []


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
    client = staff("requeue_delivery", "give_up_delivery", "approve_snstopic")
    assert b"process_again" not in client.get(list_url("webhookevent")).content
    act(client, "webhookevent", "process_again", event)
    event.refresh_from_db()
    assert event.outcome == "failed"


def test_more_than_one_can_wait_for_are_not_processed_again(staff, monkeypatch):
    monkeypatch.setattr(events, "AT_ONCE", 1)
    rows = [stored({}, outcome="failed", error="boom") for _number in range(2)]
    page = act(staff("reprocess_webhookevent"), "webhookevent", "process_again", *rows)
    assert "Choose at most 1 at a time." in page
    assert WebhookEvent.objects.filter(outcome="failed", error="boom").count() == 2


def test_the_payloads_of_what_is_processed_again_are_read_at_once(staff):
    rows = [stored({}, outcome="failed") for _number in range(3)]
    client = staff("reprocess_webhookevent")
    chosen = {"action": "process_again", "_selected_action": [row.pk for row in rows]}
    with CaptureQueriesContext(connection) as captured:
        client.post(list_url("webhookevent"), chosen)
    read = [
        query["sql"] for query in captured if query["sql"].startswith("SELECT") and '."payload"' in query["sql"]
    ]
    assert not [
        sql
        for sql in read
        if sql.startswith('SELECT "messaging_webhookevent"."id", "messaging_webhookevent"."payload"')
    ]
    assert LogEntry.objects.count() == 3
