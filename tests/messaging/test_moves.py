"""Customers who are known by several ids, and who go on under another."""

import threading
import uuid
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from externallines.channels.base import ChatMoved, Contact, MessageReceived
from messaging import chats
from messaging.models import Chat, Message, WebhookEvent
from tests.messaging.test_lanes import in_thread

pytestmark = pytest.mark.django_db(transaction=True)

MOVED = ChatMoved("380501", "380502", "system-1", "The customer's number is now **+380502**.")


@pytest.fixture
def shown(world, portal, deliver):
    """Return the texts of each chat in Uspacy."""

    def texts():
        deliver()
        world.settle()
        simulated = world.uspacy.portals[portal.domain]
        return [[message["message"] for message in simulated.thread(chat_id)] for chat_id in simulated.chats]

    return texts


@pytest.fixture
def answered(world, portal, deliver):
    def answer(chat, text):
        world.uspacy.operator_writes(portal.domain, str(chat.uspacy_id), text)
        world.settle()
        deliver()

    return answer


def test_a_chat_is_found_by_any_of_its_ids(toy, shown):
    toy.writes("by number", chat_id="380501", aliases=["UA.1"])
    toy.writes("by user id", chat_id="UA.1")
    toy.writes("by both", chat_id="UA.1", aliases=["380501"])
    assert shown() == [["by number", "by user id", "by both"]]
    assert (Chat.objects.get().external_id, Chat.objects.get().aliases) == ("380501", ["UA.1"])


def test_a_chat_learns_its_ids_as_they_are_told(toy, shown):
    toy.writes("one", chat_id="UA.1")
    toy.writes("two", chat_id="380501", aliases=["UA.1"])
    toy.writes("three", chat_id="380501")
    assert shown() == [["one", "two", "three"]]
    assert (Chat.objects.get().external_id, Chat.objects.get().aliases) == ("UA.1", ["380501"])


def test_the_same_id_on_another_line_is_another_chat(portal, toy, shown):
    toy.writes("one", chat_id="380501", aliases=["UA.1"])
    other = toy.line.__class__.objects.create(
        portal=portal, channel="toy", name="2", external_id="2", uspacy_id="x", status="active", credentials={}
    )
    toy.line = other
    toy.writes("two", chat_id="UA.1")
    assert Chat.objects.count() == 2


def test_a_chat_moves_to_its_new_id_and_the_operator_is_told(toy, shown, answered):
    toy.writes("Hello", chat_id="380501", contact=Contact("380501", "Ann", meta=[("whatsapp", "380501")]))
    assert shown() == [["Hello"]]
    toy.tell(MOVED)
    toy.writes("New phone", chat_id="380502", contact=Contact("380502", "Ann"))
    toy.writes("Old phone", chat_id="380501", contact=Contact("380502", "Ann"))
    assert shown() == [["Hello", MOVED.note, "New phone", "Old phone"]]
    chat = Chat.objects.get()
    assert (chat.external_id, chat.aliases, chat.contact_id) == ("380502", ["380501"], "380502")
    assert chat.meta == [{"type": "whatsapp", "value": "380502"}]
    answered(chat, "Hi")
    assert toy.taken == [("380502", "Hi")]


def test_a_move_that_is_told_twice_is_made_once(toy, shown):
    toy.writes("Hello", chat_id="380501")
    toy.tell(MOVED)
    toy.tell(MOVED)
    assert shown() == [["Hello", MOVED.note]]
    assert WebhookEvent.objects.exclude(source="uspacy").latest("id").reason == "nothing changed"


def test_a_move_to_an_id_that_has_a_chat_leaves_both_and_tells_in_the_old_one(toy, shown, answered):
    toy.writes("Hello", chat_id="380501")
    toy.writes("It's Ann", chat_id="380502")
    assert sorted(shown()) == [["Hello"], ["It's Ann"]]
    toy.tell(MOVED)
    assert sorted(shown()) == [["Hello", MOVED.note], ["It's Ann"]]
    answered(Chat.objects.get(external_id="380502"), "Hi")
    assert toy.taken == [("380502", "Hi")]


def test_a_move_of_nobody_we_know_is_ignored(toy):
    assert toy.tell(MOVED).status_code == 202
    assert WebhookEvent.objects.exclude(source="uspacy").latest("id").reason == "unknown chat"
    assert not Message.objects.exists()


# At the same time


@contextmanager
def waited_for(world, work):
    """Let another thread do `work` until it waits for what this one does, and go on when that is committed."""
    ended = threading.Event()

    def run():
        try:
            work()
        finally:
            ended.set()

    with transaction.atomic():
        yield
        thread = in_thread(run)
        assert world.wait_for(lambda: ended.is_set() or someone_waits())
    thread.join()


def someone_waits():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.rowcount)


def received(chat_id, name="", aliases=()):
    return MessageReceived(chat_id, "m1", Contact(chat_id, name), "Hi", aliases=aliases)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (received("380501", aliases=["UA.1"]), received("UA.1", "Ann", aliases=["380501"])),
        (received("380501", aliases=["UA.1"]), received("UA.2", "Ann", aliases=["UA.1"])),
        (received("380501"), received("380501", "Ann")),
    ],
)
def test_two_first_messages_of_one_customer_make_one_chat(world, toy, first, second):
    @transaction.atomic
    def receive_second():
        chats.lock_of_customer(toy.line, second)

    with waited_for(world, receive_second):
        chats.lock_of_customer(toy.line, first)
    assert Chat.objects.get().name == "Ann"


def test_a_customer_who_writes_under_the_new_id_while_they_move_has_two_chats(world, toy, shown):
    toy.writes("before", chat_id="380501")
    with waited_for(world, lambda: toy.tell(MOVED)):
        Chat.objects.create(line=toy.line, external_id="380502", uspacy_id=uuid.uuid4())
    assert WebhookEvent.objects.filter(outcome="failed").count() == 0
    assert shown() == [["before", MOVED.note]]
    assert sorted(Chat.objects.values_list("external_id", flat=True)) == ["380501", "380502"]
