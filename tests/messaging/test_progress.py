"""Watermarks: one event that tells how far all messages of a chat came."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from externallines.channels.base import ChatProgressed, Progress
from messaging import progress
from messaging.models import Chat, Delivery, Message

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chat(toy, deliver):
    toy.writes()
    deliver()
    return Chat.objects.get()


@pytest.fixture
def sent(chat):
    """Make messages that the customer has got, a minute apart, the last one now; the ids are m0, m1, ..."""

    def make(*statuses):
        now = timezone.now()
        for number, status in enumerate(statuses):
            at = now - timedelta(minutes=len(statuses) - 1 - number)
            message = Message.objects.create(
                chat=chat,
                direction="out",
                uspacy_id=uuid.uuid4(),
                external_id="" if status == "queued" else f"m{number}",
                status=status,
                sent_at=at,
            )
            Delivery.objects.create(
                message=message, chat=chat, destination="customer", status="sent", settled_at=at, attempts=1
            )
        return now

    return make


def statuses():
    return list(Message.objects.filter(direction="out").order_by("id").values_list("status", flat=True))


def told_uspacy():
    told = Delivery.objects.filter(kind="status").order_by("id")
    return [row.message.external_id for row in told.select_related("message")]


def test_a_message_and_all_before_it_are_moved_on(toy, sent):
    sent("sent", "delivered", "read", "sent", "sent")
    assert toy.tell(ChatProgressed(Progress.READ, "ann", message_id="m3")).status_code == 202
    assert statuses() == ["read", "read", "read", "read", "sent"]
    assert told_uspacy() == ["m0", "m1", "m3"]


def test_what_was_not_sent_or_has_failed_is_not_moved(toy, sent):
    sent("failed", "queued", "sent")
    toy.tell(ChatProgressed(Progress.READ, "ann", message_id="m2"))
    assert statuses() == ["failed", "queued", "read"]


def test_no_status_goes_back(toy, sent):
    sent("read", "delivered", "sent")
    toy.tell(ChatProgressed(Progress.DELIVERED, "ann", message_id="m2"))
    assert statuses() == ["read", "delivered", "delivered"]
    assert told_uspacy() == ["m2"]


def test_a_time_covers_what_was_sent_until_then(toy, sent):
    now = sent("sent", "sent", "sent")
    toy.tell(ChatProgressed(Progress.DELIVERED, "ann", until=now - timedelta(seconds=30)))
    assert statuses() == ["delivered", "delivered", "sent"]


def test_a_time_does_not_cover_what_was_written_before_and_sent_after(toy, sent):
    now = sent("sent", "sent")
    late = Message.objects.get(external_id="m0")
    late.deliveries.update(settled_at=now + timedelta(minutes=5))
    toy.tell(ChatProgressed(Progress.READ, "ann", until=now))
    assert statuses() == ["sent", "read"]


def test_an_earlier_part_covers_only_what_is_before_its_message(toy, sent):
    sent("sent", "sent")
    Message.objects.filter(external_id="m1").update(earlier_ids=["m1a"])
    toy.tell(ChatProgressed(Progress.READ, "ann", message_id="m1a"))
    assert statuses() == ["read", "sent"]


def test_another_chat_is_not_touched(toy, chat, sent):
    sent("sent")
    toy.writes(chat_id="ben")
    toy.tell(ChatProgressed(Progress.READ, "ben", until=timezone.now()))
    assert statuses() == ["sent"]


def test_a_watermark_that_overtakes_the_answer_waits_for_it(world, portal, toy, chat, deliver):
    toy.before_answer = lambda part_id: toy.tell(ChatProgressed(Progress.READ, "ann", message_id=part_id))
    written = world.uspacy.operator_writes(portal.domain, str(chat.uspacy_id), "Hi")
    world.settle()
    deliver()
    assert world.uspacy.portals[portal.domain].messages[written["id"]]["status"] == "read"


def test_a_time_that_overtakes_the_answer_waits_for_the_message_named_with_it(
    world, portal, toy, chat, sent, deliver
):
    now = sent("sent", "sent")
    toy.before_answer = lambda part_id: toy.tell(
        ChatProgressed(Progress.READ, "ann", until=now - timedelta(seconds=30), message_id=part_id)
    )
    written = world.uspacy.operator_writes(portal.domain, str(chat.uspacy_id), "Hi")
    world.settle()
    deliver()
    assert world.uspacy.portals[portal.domain].messages[written["id"]]["status"] == "read"


def test_a_time_is_applied_although_the_message_named_with_it_is_unknown(toy, sent):
    now = sent("sent", "sent")
    toy.tell(ChatProgressed(Progress.READ, "ann", until=now - timedelta(seconds=30), message_id="unknown"))
    assert statuses() == ["read", "sent"]


def test_many_messages_cost_no_more_queries_than_one(toy, chat, sent):
    counts = []
    for number in (1, 40):
        Message.objects.filter(direction="out").delete()
        sent(*["sent"] * number)
        event = ChatProgressed(Progress.READ, "ann", message_id=f"m{number - 1}")
        with CaptureQueriesContext(connection) as queries:
            assert progress.record_progress(toy.line, event)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert statuses() == ["read"] * 40
