"""Customers who are known by several ids, and who go on under another."""

import pytest

from externallines.channels.base import ChatMoved, Contact
from messaging.models import Chat, Message, WebhookEvent

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
    assert shown() == [["Hello"], ["It's Ann"]]
    toy.tell(MOVED)
    assert shown() == [["Hello", MOVED.note], ["It's Ann"]]
    answered(Chat.objects.get(external_id="380502"), "Hi")
    assert toy.taken == [("380502", "Hi")]


def test_a_move_of_nobody_we_know_is_ignored(toy):
    assert toy.tell(MOVED).status_code == 202
    assert WebhookEvent.objects.exclude(source="uspacy").latest("id").reason == "unknown chat"
    assert not Message.objects.exists()
