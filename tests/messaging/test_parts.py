"""Messages that their messenger takes in parts, and what it says of them."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from externallines.channels.base import MessageDeleted, Progress, StatusReported
from messaging import dead_ends, delivery, parts, receipts, services
from messaging.models import Chat, Delivery, Message
from portals.http import Refused, ServerFault

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chat(toy, deliver):
    toy.writes()
    deliver()
    return Chat.objects.select_related("line__portal").get()


@pytest.fixture
def answer(world, portal, chat, deliver):
    """Let the operator write, and deliver it."""

    def write(text, **options):
        written = world.uspacy.operator_writes(portal.domain, str(chat.uspacy_id), text, **options)
        world.settle()
        deliver()
        return Message.objects.get(uspacy_id=written["id"])

    return write


@pytest.fixture
def shown(world, portal):
    """Return a message as Uspacy shows it."""
    return lambda message: world.uspacy.portals[portal.domain].messages[str(message.uspacy_id)]


def due_again():
    Delivery.objects.open().update(available_at=Now())


def test_the_parts_of_a_message_are_remembered_and_the_last_is_its_id(toy, answer):
    message = answer("one|two|three")
    assert toy.texts == ["one", "two", "three"]
    assert [*message.earlier_ids, message.external_id] == toy.ids
    assert message.status == "sent"


def test_a_failure_between_parts_repeats_none_that_was_taken(toy, answer, deliver):
    toy.failures = [None, None, ServerFault("Try later.", code="503")]
    message = answer("one|two|three")
    assert (message.status, len(message.earlier_ids)) == ("queued", 2)
    due_again()
    deliver()
    message.refresh_from_db()
    assert toy.texts == ["one", "two", "three"]
    assert (len(message.earlier_ids), message.status) == (2, "sent")


class Killed(BaseException):
    """The end of the process, as far as one thread can have it."""


def test_a_crash_between_parts_repeats_the_part_under_way_only(toy, chat, deliver):
    row = Message.objects.create(chat=chat, direction="out", uspacy_id=uuid.uuid4(), text="one|two|three")
    services.enqueue(row, Delivery.Destination.CUSTOMER)

    def die(part_id):
        if toy.texts[-1] == "two":
            raise Killed

    toy.before_answer = die
    with pytest.raises(Killed):
        deliver()
    toy.before_answer = lambda part_id: None
    due_again()
    deliver()
    assert toy.texts == ["one", "two", "two", "three"]


def test_a_part_that_was_taken_while_its_worker_was_told_to_end_is_not_sent_again(toy, answer, deliver):
    toy.before_answer = lambda part_id: delivery.stop()
    try:
        message = answer("one|two|three")
    finally:
        delivery._stopping.clear()
    assert toy.texts == ["one"]
    assert message.earlier_ids == toy.ids
    toy.before_answer = lambda part_id: None
    due_again()
    deliver()
    assert toy.texts == ["one", "two", "three"]


def test_a_worker_that_lost_its_claim_records_no_part_and_sends_no_further(toy, answer, deliver):
    def take_over(part_id):
        toy.before_answer = lambda part_id: None
        Delivery.objects.open().filter(destination="customer").update(available_at=Now(), attempts=7)

    toy.before_answer = take_over
    message = answer("one|two")
    assert toy.texts == ["one", "one", "two"]  # the first of them by the late worker
    assert [*message.earlier_ids, message.external_id] == toy.ids[1:]


def test_progress_counts_for_the_last_part_and_a_failure_for_any(toy, answer, shown, deliver):
    message = answer("one|two")
    first, last = message.earlier_ids[0], message.external_id
    toy.tell(StatusReported(Progress.READ, message_id=first))
    toy.tell(StatusReported(Progress.DELIVERED, message_id=first, client_id=str(message.uspacy_id)))
    deliver()
    assert shown(message)["status"] == "sent"
    toy.tell(StatusReported(Progress.DELIVERED, message_id=last))
    deliver()
    assert shown(message)["status"] == "delivered"
    other = answer("three|four")
    toy.tell(StatusReported(Progress.FAILED, message_id=other.earlier_ids[0], error="No such number."))
    deliver()
    assert (shown(other)["status"], shown(other)["statusText"]) == (
        "error",
        dead_ends.told("Reported", "No such number."),
    )


@pytest.mark.parametrize("part", ["one", "two"])
def test_a_status_that_overtakes_the_answer_waits_for_it(toy, answer, shown, deliver, part):
    def overtake(part_id):
        if toy.texts[-1] == part:
            about = {"message_id": part_id, "client_id": toy.messages[-1].client_id}
            toy.tell(StatusReported(Progress.DELIVERED, **about))

    toy.before_answer = overtake
    message = answer("one|two")
    deliver()
    assert shown(message)["status"] == ("delivered" if part == "two" else "sent")


def test_a_failure_of_a_part_that_overtakes_the_answer_is_told(toy, answer, shown, deliver):
    toy.before_answer = lambda part_id: (
        toy.texts[-1] == "one"
        and toy.tell(StatusReported(Progress.FAILED, message_id=part_id, error="No such number."))
    )
    message = answer("one|two")
    deliver()
    assert shown(message)["statusText"] == dead_ends.told("Reported", "No such number.")


def test_a_reply_to_any_part_quotes_the_message(toy, answer, shown, deliver):
    message = answer("one|two")
    for quoted in (message.earlier_ids[0], message.external_id):
        event = toy.writes("Fine", reply_to=quoted)
        deliver()
        reply = Message.objects.get(external_id=event.message_id)
        assert shown(reply)["parentMessage"] == str(message.uspacy_id)


def test_an_answer_to_a_message_is_given_its_words(world, portal, toy, chat, deliver):
    asked = Message.objects.get()
    world.uspacy.operator_writes(portal.domain, str(chat.uspacy_id), "Hi", parent=str(asked.uspacy_id))
    world.settle()
    deliver()
    assert (toy.messages[-1].reply_to, toy.messages[-1].quoted) == (asked.external_id, "Hello")


def test_the_deletion_of_one_part_does_not_delete_the_message(toy, answer, shown, deliver):
    message = answer("one|two")
    toy.tell(MessageDeleted("ann", message.earlier_ids[0]))
    deliver()
    assert Message.objects.get(pk=message.pk).deleted_at is None


def test_what_was_sent_in_parts_is_deleted_in_all_its_parts(world, portal, toy, answer, deliver):
    message = answer("one|two|three")
    world.uspacy.operator_deletes(portal.domain, str(message.uspacy_id))
    world.settle()
    deliver()
    [deleted] = toy.deleted
    assert [*deleted.earlier_ids, deleted.external_id] == [*message.earlier_ids, message.external_id]


def test_what_was_sent_in_part_only_is_deleted_too(world, portal, toy, answer, deliver):
    toy.failures = [None, None, Refused("That is too long.")]
    message = answer("one|two|three")
    assert message.status == "failed"
    world.uspacy.operator_deletes(portal.domain, str(message.uspacy_id))
    world.settle()
    deliver()
    [deleted] = toy.deleted
    assert [*deleted.earlier_ids, deleted.external_id] == message.earlier_ids


def test_send_again_goes_on_behind_what_was_taken(toy, answer, deliver):
    toy.failures = [None, Refused("Not now.")]
    message = answer("one|two")
    services.requeue(Delivery.objects.get(message=message, status="failed"))
    deliver()
    assert toy.texts == ["one", "two"]


def test_send_again_sends_all_of_what_failed_after_it_was_sent(toy, answer, deliver):
    message = answer("one|two")
    toy.tell(StatusReported(Progress.FAILED, message_id=message.external_id, error="No such number."))
    deliver()
    delivery = Delivery.objects.get(message=message, destination="customer")
    Delivery.objects.filter(pk=delivery.pk).update(status="failed")
    delivery.refresh_from_db()
    services.requeue(delivery)
    deliver()
    message.refresh_from_db()
    assert toy.texts == ["one", "two", "one", "two"]
    assert (len(message.earlier_ids), message.status) == (1, "sent")


def test_a_note_reaches_the_operator_and_outlasts_the_next_status(toy, answer, shown, deliver):
    toy.note = "Sent as a document."
    message = answer("picture")
    deliver()
    assert (shown(message)["status"], shown(message)["statusText"]) == ("sent", "Sent as a document.")
    toy.tell(StatusReported(Progress.DELIVERED, message_id=message.external_id))
    deliver()
    assert (shown(message)["status"], shown(message)["statusText"]) == ("delivered", "Sent as a document.")


def test_the_reason_of_a_failure_does_not_outlast_it(toy, answer, shown, deliver):
    message = answer("hello")
    for status, error in ((Progress.FAILED, "Out of reach."), (Progress.DELIVERED, "")):
        toy.tell(StatusReported(status, message_id=message.external_id, error=error))
        deliver()
    assert (shown(message)["status"], shown(message)["statusText"]) == ("delivered", None)


def test_a_receipt_holds_the_next_message_back_until_a_status_is_reported(toy, answer, deliver):
    toy.hold = 60.0
    first = answer("picture")
    toy.hold = 0.0
    answer("text")
    assert toy.texts == ["picture"]
    assert Delivery.objects.open().get().attempts == 0
    toy.tell(StatusReported(Progress.SENT, message_id=first.external_id))  # which changes nothing else
    deliver()
    assert toy.texts == ["picture", "text"]


def test_a_hold_ends_that_was_unknown_when_its_status_came(toy, answer, chat, deliver):
    read_before = Chat.objects.get()
    toy.hold = 60.0
    first = answer("picture")
    answer("text")
    receipts.release(read_before, told=[first.pk])
    deliver()
    assert toy.texts == ["picture", "text"]


def test_the_status_of_another_message_does_not_end_the_hold(toy, answer, deliver):
    before = answer("before")
    toy.hold = 60.0
    answer("picture")
    answer("text")
    toy.tell(StatusReported(Progress.DELIVERED, message_id=before.external_id))
    deliver()
    assert toy.texts == ["before", "picture"]


def test_a_hold_ends_by_itself(toy, answer, deliver):
    toy.hold = 60.0
    answer("picture")
    toy.hold = 0.0
    answer("text")
    Chat.objects.update(held_until=timezone.now() - timedelta(seconds=1))
    due_again()
    deliver()
    assert toy.texts == ["picture", "text"]


def test_what_the_customer_writes_is_not_held(world, portal, toy, answer, deliver):
    toy.hold = 60.0
    answer("picture")
    toy.writes("Thanks")
    deliver()
    assert "Thanks" in [each["message"] for each in world.uspacy.portals[portal.domain].messages.values()]


def test_a_part_is_found_by_its_index(chat):
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        try:
            wanted = Message.objects.filter(earlier_ids__contains=["x"]).exclude(earlier_ids=[])
            assert "message_earlier_ids" in wanted.explain()
        finally:
            cursor.execute("RESET enable_seqscan")
    assert parts.find(Message.objects.all(), "x") is None
