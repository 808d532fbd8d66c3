"""What the business writes in the messenger's own app, and what only looks like it: echoes of our messages."""

import pytest
from django.db.models.functions import Now

from externallines.channels.base import Contact, MessageReceived, Progress, StatusReported
from messaging.models import Chat, Delivery, Message, WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chat(toy, deliver):
    toy.writes()
    deliver()
    return Chat.objects.get()


@pytest.fixture
def answer(world, portal, chat, deliver):
    """Let the operator write, and deliver it."""

    def write(text):
        written = world.uspacy.operator_writes(portal.domain, str(chat.uspacy_id), text)
        world.settle()
        deliver()
        return Message.objects.get(uspacy_id=written["id"])

    return write


@pytest.fixture
def thread(world, portal, deliver):
    """Return the texts that Uspacy shows, once everything that waited has gone there."""

    def texts():
        for _time in range(3):
            Delivery.objects.open().update(available_at=Now())
            deliver()
            world.settle()
        simulated = world.uspacy.portals[portal.domain]
        return [message["message"] for message in simulated.thread(next(iter(simulated.chats)))]

    return texts


def echo(part_id, text, **fields):
    return MessageReceived("ann", part_id, Contact("ann", "Ann"), text, outgoing=True, **fields)


def test_an_echo_with_our_id_is_known(toy, answer, thread):
    toy.before_answer = lambda part_id: toy.tell(
        echo(part_id, "Hi", client_id=toy.messages[-1].client_id), echo("x1", "Hi", client_id="of another app")
    )
    answer("Hi")
    assert thread() == ["Hello", "Hi", "Hi"]  # the other app's is not ours
    assert Message.objects.filter(direction="out").count() == 2


def test_an_echo_that_follows_the_answer_changes_nothing(toy, answer, thread):
    answer("Hi")
    toy.tell(echo(toy.ids[-1], "Hi"))
    assert WebhookEvent.objects.latest("id").reason == "nothing changed"
    assert thread() == ["Hello", "Hi"]


@pytest.mark.parametrize("text", ["Hi", "one|two|three"])
def test_an_echo_that_overtakes_the_answer_is_not_shown_twice(toy, answer, thread, text):
    toy.before_answer = lambda part_id: toy.tell(echo(part_id, toy.texts[-1]))
    message = answer(text)
    assert [*message.earlier_ids, message.external_id] == toy.ids
    assert thread() == ["Hello", text]
    assert Message.objects.filter(direction="out").count() == 1


def test_a_status_of_the_echo_counts_for_the_message(toy, answer):
    def overtake(part_id):
        toy.tell(echo(part_id, "Hi"))
        toy.tell(StatusReported(Progress.READ, message_id=part_id))

    toy.before_answer = overtake
    message = answer("Hi")
    assert (message.external_id, message.status) == (toy.ids[0], "read")
    assert Delivery.objects.filter(message=message, kind="status").exists()


def test_an_echo_that_comes_later_is_not_shown_twice(toy, answer, thread):
    answer("one|two")
    toy.tell(*(echo(part_id, "part") for part_id in toy.ids))
    assert thread() == ["Hello", "one|two"]


def test_an_echo_that_is_in_uspacy_before_the_answer_came_goes_away_again(
    world, portal, toy, answer, thread, deliver
):
    def be_late(part_id):
        toy.tell(echo(part_id, "Hi"))
        Delivery.objects.open().filter(destination="uspacy").update(available_at=Now())
        deliver()
        world.settle()
        assert len(world.uspacy.portals[portal.domain].messages) == 3

    toy.before_answer = be_late
    message = answer("Hi")
    assert message.external_id == toy.ids[0]
    assert thread() == ["Hello", "Hi"]
    assert toy.texts == ["Hi"]
    assert world.breaches == []


def test_a_reply_to_the_echo_is_one_to_the_message(toy, answer, thread):
    def quote(part_id):
        toy.tell(echo(part_id, "Hi"))
        toy.writes("You too", reply_to=part_id)

    toy.before_answer = quote
    message = answer("Hi")
    assert Message.objects.get(text="You too").parent == message


def test_what_the_business_writes_elsewhere_waits_only_while_it_may_be_an_echo(world, portal, toy, chat, deliver):
    toy.tell(echo("x1", "From our phone"))
    deliver()
    assert "From our phone" in [each["message"] for each in world.uspacy.portals[portal.domain].messages.values()]
    assert not Delivery.objects.open().exists()


def test_what_the_business_writes_elsewhere_meanwhile_is_shown(toy, answer, thread):
    toy.before_answer = lambda part_id: toy.tell(echo("x1", "From our phone"))
    answer("Hi")
    assert sorted(thread()) == ["From our phone", "Hello", "Hi"]
