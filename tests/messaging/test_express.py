"""A plain message is stored in one statement: as the long way does it, in order, once, all of it or nothing."""

import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from externallines.channels.base import Contact, Media, MessageReceived
from externallines.models import ExternalLine
from messaging import express, inbox, operators, services, statements
from messaging.models import Chat, Delivery, Message, WebhookEvent
from messaging.uspacy_events import parse
from portals.models import Portal

pytestmark = pytest.mark.django_db(transaction=True)

OURS = {"id", "chat_id", "event_id", "message_id", "uspacy_id", "external_id", "created_at", "available_at"}


@pytest.fixture
def line() -> ExternalLine:
    portal = Portal.objects.create(domain="acme.uspacy.ua")
    return ExternalLine.objects.create(
        portal=portal, channel="webhook", name="Shop", external_id="shop", uspacy_id="shop", status="active"
    )


@pytest.fixture
def chat(line: ExternalLine) -> Chat:
    return add_chat(line, "ann")


def add_chat(line: ExternalLine, name: str) -> Chat:
    return Chat.objects.create(line=line, external_id=name, contact_id=name, name=name, uspacy_id=uuid.uuid4())


def operators_event(chat: Chat, **entity: Any) -> dict[str, Any]:
    message = {
        "id": str(uuid.uuid4()),
        "chatId": str(chat.uspacy_id),
        "externalLine": "shop",
        "message": "**Hello**",
        "type": "MESSAGE",
        "authorId": "7",
        "timestamp": 1_767_323_045_000,
    }
    data = {"action": "create", "service": "messenger", "domain": "acme.uspacy.ua", "entity": message | entity}
    return {"type": "message", "data": data}


def customers_message(chat: Chat, **details: Any) -> MessageReceived:
    contact = Contact(chat.contact_id, chat.name)
    values = {"text": "**Hello**", "sent_at": timezone.now(), "thanks": {"read": 1}} | details
    return MessageReceived(chat.external_id, uuid.uuid4().hex, contact, **values)


def unstored(payload: Any = None) -> WebhookEvent:
    return WebhookEvent(source="uspacy", key=uuid.uuid4().hex, payload=json.dumps(payload))


def stored(chat: Chat) -> list[dict[str, Any]]:
    """All that is known of a chat's only message, but for keys and ids."""
    message = Message.objects.get(chat=chat)
    rows = [chat, message, Delivery.objects.get(message=message), WebhookEvent.objects.get(pk=message.event_id)]
    tables = [type(row).objects.filter(pk=row.pk).values().get() for row in rows]
    assert tables[2]["available_at"] == tables[2]["created_at"], "it is due at once"
    if not message.is_outbound:
        assert message.uspacy_id == services.chosen_id(chat, message.external_id)
    assert abs(tables[0].pop("last_message_at") - message.created_at).total_seconds() < 0.001
    for own in ("name", "contact_id"):
        tables[0].pop(own)
    for own in ("key", "payload", "received_at"):
        tables[3].pop(own)
    return [{name: value for name, value in table.items() if name not in OURS} for table in tables]


def test_an_operators_message_is_stored_as_the_long_way_stores_it(line: ExternalLine) -> None:
    short, long = add_chat(line, "short"), add_chat(line, "long")
    assert operators.take(unstored(), operators_event(short)) == []

    event = unstored()
    with transaction.atomic():
        assert statements.store_event(event)
        operators.interpret(operators_event(long), event.pk)

    assert stored(short) == stored(long)


def test_a_customers_message_is_stored_as_the_long_way_stores_it(line: ExternalLine) -> None:
    short, long, now = add_chat(line, "short"), add_chat(line, "long"), timezone.now()
    assert express.take_from_customer(line, unstored(), customers_message(short, sent_at=now))

    event = unstored()
    with transaction.atomic():
        assert statements.store_event(event)
        services.record_inbound(line, customers_message(long, sent_at=now), event.pk)

    short_rows, long_rows = stored(short), stored(long)
    assert short_rows[1].pop("author_id") == "short"
    assert long_rows[1].pop("author_id") == "long"
    assert short_rows == long_rows


@pytest.mark.parametrize(
    "entity",
    [
        {"attachedFiles": [{"id": "1", "originalFilename": "a.pdf", "url": "https://acme.uspacy.ua/a.pdf"}]},
        {"parentMessage": str(uuid.uuid4())},
        {"chatId": str(uuid.uuid4())},
        {"chatId": None},
        {"externalLine": "another"},
    ],
)
def test_what_an_operator_writes_otherwise_stores_nothing(chat: Chat, entity: dict[str, Any]) -> None:
    assert operators.take(unstored(), operators_event(chat, **entity)) is None
    assert nothing_is_stored(chat)


@pytest.mark.parametrize("action", ["update", "delete"])
def test_what_an_operator_changes_stores_nothing(chat: Chat, action: str) -> None:
    event = operators_event(chat)
    event["data"]["action"] = action
    assert operators.take(unstored(), event) is None
    assert nothing_is_stored(chat)


@pytest.mark.parametrize(
    "details",
    [
        {"media": [Media({}, "a.pdf")]},
        {"reply_to": "1"},
        {"outgoing": True},
        {"aliases": ["another name"]},
    ],
)
def test_what_a_customer_writes_otherwise_stores_nothing(chat: Chat, details: dict[str, Any]) -> None:
    assert not express.take_from_customer(chat.line, unstored(), customers_message(chat, **details))
    assert nothing_is_stored(chat)


@pytest.mark.parametrize(
    "news", [{"name": "Ann of old"}, {"blocked": True}, {"picture_url": "https://old.example/ann.png"}]
)
def test_a_customer_of_whom_something_is_new_stores_nothing(chat: Chat, news: dict[str, Any]) -> None:
    contact = Contact(chat.contact_id, "Ann", picture_url="https://new.example/ann.png")
    Chat.objects.update(**{"name": "Ann", "picture_url": contact.picture_url} | news)
    received = MessageReceived("ann", "1", contact, "Hello")
    assert not express.take_from_customer(chat.line, unstored(), received)
    assert nothing_is_stored(chat)

    Chat.objects.update(name="Ann", picture_url=contact.picture_url, blocked=False)
    assert express.take_from_customer(chat.line, unstored(), received)


def nothing_is_stored(chat: Chat) -> bool:
    before = chat.last_message_at
    chat.refresh_from_db()
    return chat.last_message_at == before and not (WebhookEvent.objects.exists() or Message.objects.exists())


def test_several_events_of_one_call_go_the_long_way(toy: Any) -> None:
    toy.writes()
    chat = Chat.objects.get()
    again = customers_message(chat)
    toy.tell(again, customers_message(chat))

    assert Message.objects.count() == 3


def test_a_known_event_or_message_stores_nothing(chat: Chat) -> None:
    value, event = operators_event(chat), unstored()
    operators.take(event, value)
    before = stored(chat)

    assert operators.take(event, operators_event(chat)) is None, "the event is known"
    assert operators.take(unstored(), value) is None, "the message is known"
    assert stored(chat) == before
    assert WebhookEvent.objects.count() == 1


def test_a_message_waits_for_its_chat_and_comes_behind_the_one_that_holds_it(chat: Chat) -> None:
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            services.lock(chat.pk)
            later = pool.submit(in_thread, operators.take, unstored(), operators_event(chat, message="later"))
            wait_until_somebody_waits()
            services.record_outbound(chat, parse(operators_event(chat, message="earlier")), None)
        assert later.result(10) == []

    assert list(Message.objects.order_by("id").values_list("text", flat=True)) == ["earlier", "later"]
    in_lane = Delivery.objects.order_by("id").values_list("message__text", flat=True)
    assert list(in_lane) == ["earlier", "later"]


def wait_until_somebody_waits() -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits for a lock")


def test_many_at_once_are_stored_once_each_and_in_order(line: ExternalLine) -> None:
    chats = [add_chat(line, name) for name in ("ann", "bob")]
    events = [(f"event {number}", json.dumps(operators_event(chats[number % 2]))) for number in range(60)]
    start = threading.Barrier(8)

    def receive(_number: int) -> list[bool]:
        start.wait()
        return [inbox.receive_from_uspacy(*event) for event in events]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: in_thread(receive, number), range(8)))

    assert sum(map(sum, answers)) == len(events), "each is new to one of them"
    assert WebhookEvent.objects.filter(outcome="accepted").count() == len(events)
    assert Message.objects.count() == len(events)
    rows = Delivery.objects.order_by("id").values_list("message_id", "chat_id", "message__created_at")
    for chat in chats:
        ids = [message_id for message_id, chat_id, _at in rows if chat_id == chat.pk]
        assert ids == sorted(ids)
        chat.refresh_from_db()
        assert chat.last_message_at == max(at for _id, chat_id, at in rows if chat_id == chat.pk)


def test_the_same_message_by_two_events_at_once_is_stored_once(chat: Chat) -> None:
    for _round in range(20):
        text, start = json.dumps(operators_event(chat)), threading.Barrier(4)

        def receive(key: str, text: str = text, start: threading.Barrier = start) -> bool:
            start.wait()
            return inbox.receive_from_uspacy(key, text)

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(lambda _number: in_thread(receive, uuid.uuid4().hex), range(4)))

    assert Message.objects.count() == Delivery.objects.count() == 20
    outcomes = list(WebhookEvent.objects.values_list("outcome", flat=True))
    assert (outcomes.count("accepted"), outcomes.count("ignored")) == (20, 60)


def in_thread(function: Any, *arguments: Any) -> Any:
    """Call a function in a thread of a pool, whose connection nobody else closes."""
    try:
        return function(*arguments)
    finally:
        connection.close()
