"""How many statements a message costs: what was measured once stays so (docs/performance.md)."""

import itertools
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging import delivery, services
from messaging.express import TAKE_FROM_CUSTOMER, TAKE_FROM_OPERATOR
from messaging.models import Chat, Delivery, Message, WebhookEvent
from messaging.statements import CLAIM, HEADS, SETTLE_BROUGHT
from portals import services as portal_services
from portals.models import Portal
from tests.benchmarks.product import Conversation, Webhook, customers_messages, notifications
from tests.simulators import Partner, World

pytestmark = pytest.mark.django_db(transaction=True)

BEGIN_AND_COMMIT = 2


@pytest.fixture
def place(world: World, portal: Portal, partner: Partner, deliver) -> Conversation:
    """A customer who is known on both sides, and whose partner reports nothing by itself."""
    partner.auto_delivered = False
    customer = partner.add_customer("Ann")
    partner.write(customer, "Hello", wait=True)
    deliver()
    world.settle()
    return Conversation(world.uspacy.portals[portal.domain], partner, customer, Chat.objects.get())


@contextmanager
def statements(count: int) -> Iterator[None]:
    with CaptureQueriesContext(connection) as captured:
        yield
    assert len(captured) == count, [query["sql"] for query in captured.captured_queries]


def send(client: Client, webhook: Webhook) -> None:
    headers = {name: value for name, value in webhook.headers.items() if name != "content-type"}
    answer = client.post(webhook.path, webhook.body, content_type=webhook.headers["content-type"], headers=headers)
    assert answer.status_code < 300, answer.content


def test_an_operators_message_is_stored(client: Client, world: World, place: Conversation) -> None:
    webhook = next(notifications(world, [place]))
    with statements(1):  # event, message, chat's time and delivery
        send(client, webhook)
    assert Message.objects.filter(uspacy_id=webhook.id).exists()


def test_a_customers_message_is_stored(client: Client, place: Conversation) -> None:
    webhook = next(customers_messages([place]))
    with statements(4):  # line; chat; event, message, chat's time and delivery; who waits for it
        send(client, webhook)
    assert Message.objects.filter(external_id=webhook.id).exists()


def test_what_is_not_for_customers_is_kept(client: Client, world: World, place: Conversation) -> None:
    webhook = next(notifications(world, [place], type="SYSTEM"))
    with statements(1):
        send(client, webhook)
    assert WebhookEvent.objects.filter(outcome="ignored", reason="system message").exists()


def test_a_repeat_stores_nothing(client: Client, world: World, place: Conversation) -> None:
    webhook = next(notifications(world, [place]))
    send(client, webhook)
    with statements(2 + BEGIN_AND_COMMIT):  # not plain; the event is known
        send(client, webhook)
    assert Message.objects.filter(uspacy_id=webhook.id).count() == 1


def test_a_customers_message_is_delivered(client: Client, place: Conversation) -> None:
    send(client, next(customers_messages([place])))
    with statements(3):  # heads; claim; settle with the message, whereupon nothing is left
        delivery.drain(place.chat.pk)
    assert not Delivery.objects.open().exists()


def test_each_further_message_of_a_burst_is_delivered(client: Client, place: Conversation) -> None:
    calls = customers_messages([place])
    for _number in range(5):
        send(client, next(calls))
    with statements(5 * 3):
        delivery.drain(place.chat.pk)
    assert not Delivery.objects.open().exists()


def test_an_operators_message_is_delivered(client: Client, world: World, place: Conversation) -> None:
    send(client, next(notifications(world, [place])))
    # heads; claim; then at once lock, settle, id, lock, status, delivery of it; who waits for it; that delivery,
    # as above
    with statements(2 + BEGIN_AND_COMMIT + 6 + 1 + 3):
        delivery.drain(place.chat.pk)
    assert not Delivery.objects.open().exists()


def test_tokens_are_renewed(portal: Portal) -> None:
    with statements(3 + BEGIN_AND_COMMIT):  # lock; portal; tokens and history
        portal_services.renew(portal.pk, portal.refreshed_at)


def test_a_long_lane_costs_no_more_than_a_short_one(place: Conversation) -> None:
    [message] = Message.objects.filter(chat=place.chat)
    for _number in range(50):
        services.enqueue(message, Delivery.Destination.USPACY, Delivery.Kind.EDIT)
    with statements(1):
        assert len(delivery._heads(place.chat.pk)) == 1


@pytest.fixture
def history(place: Conversation) -> None:
    """Thousands of messages in other chats, and nothing that waits, as PostgreSQL knows by its statistics."""
    line, now = place.chat.line, timezone.now()
    chats = Chat.objects.bulk_create(
        Chat(line=line, external_id=f"customer {number}", uspacy_id=uuid.uuid4()) for number in range(100)
    )
    messages = Message.objects.bulk_create(
        Message(chat=chat, direction="in", uspacy_id=uuid.uuid4(), external_id=f"message {number}", status="sent")
        for chat in chats
        for number in range(40)
    )
    Delivery.objects.bulk_create(
        Delivery(message=message, chat=message.chat, destination="uspacy", status="sent", settled_at=now)
        for message in messages
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


@pytest.mark.parametrize(
    ("statement", "indexes"),
    [
        (HEADS, {"delivery_lane"}),
        (CLAIM, {"messaging_delivery_pkey"}),
        (SETTLE_BROUGHT, {"messaging_delivery_pkey", "delivery_lane"}),
        (TAKE_FROM_OPERATOR, {"message_unique_uspacy_id"}),
        (TAKE_FROM_CUSTOMER, {"message_unique_external_id"}),
    ],
)
def test_a_plan_prepared_while_nothing_waits_still_suits_when_much_does(
    statement: str, indexes: set[str], history: None
) -> None:
    numbers, named = itertools.count(1), dict[str, str]()

    def number(match: re.Match[str]) -> str:
        key = match[1] or f"only here {match.start()}"
        return named.setdefault(key, f"${next(numbers)}")

    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (GENERIC_PLAN) " + re.sub(r"%(?:\((\w+)\))?s", number, statement))
        plan = "\n".join(line for (line,) in cursor.fetchall())
    used = set(re.findall(r"using (\w+) on messaging_(?:delivery|message)\b", plan))
    assert used - {"messaging_message_pkey"} == indexes, plan
    assert not re.search(r"Seq Scan on messaging_(delivery|message)\b", plan), plan
    searched = re.findall(r"using \w+ on messaging_(?:delivery|message)\b.*\n\s+Index Cond: \(+(\w+)", plan)
    assert set(searched) <= {"id", "chat_id", "uspacy_id", "external_id"}, plan
    assert len(searched) == len(re.findall(r"using \w+ on messaging_(?:delivery|message)\b", plan)), plan
