"""Outages of hours and worse, on a clock that is moved on in the database; and a worker that ends."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from externallines.models import ExternalLine
from externallines.services import reconnect
from messaging import delivery
from messaging.models import Chat, Delivery
from portals import gate
from portals.models import Portal
from tests.messaging.test_lanes import in_thread

pytestmark = pytest.mark.django_db(transaction=True)

HOOK, MESSAGES, MEDIA = "/partner/shop/hook$", "/messenger/v1/messages$", "/partner/shop/media/.*txt"
TEXTS = ["one", "two", "three"]


@pytest.fixture
def ann(partner):
    return partner.add_customer("Ann")


@pytest.fixture
def chat(partner, ann, deliver):
    partner.write(ann, "Hello", wait=True)
    deliver()
    return Chat.objects.select_related("line__portal").get()


@pytest.fixture
def answer(world, portal, chat):
    def answer(text):
        message = world.uspacy.operator_writes(portal.domain, str(chat.uspacy_id), text)
        world.settle()
        return message

    return answer


@pytest.fixture
def shown(world, portal):
    return lambda: [message["message"] for message in world.uspacy.portals[portal.domain].messages.values()]


def got(partner, ann):
    return [message.text for message in partner.messages(ann) if message.side == "business"]


def move_on(wait):
    """Move the clock on."""
    Delivery.objects.open().update(created_at=F("created_at") - wait, available_at=F("available_at") - wait)
    Portal.objects.update(installed_at=F("installed_at") - wait)
    ExternalLine.objects.update(activated_at=F("activated_at") - wait)
    gate.reset()


def pass_hours(hours, deliver):
    """Live through that time; return the waits until each attempt at the beginning, and then every third hour."""
    passed, waits = timedelta(0), []
    while passed < timedelta(hours=hours) and Delivery.objects.open().exists():
        wait = max(row.available_at for row in Delivery.objects.heads()) - timezone.now()
        waits.append(wait if passed < timedelta(hours=2) else timedelta(hours=3))
        passed += waits[-1]
        move_on(waits[-1] + timedelta(milliseconds=1))
        deliver()
    return waits


def test_nothing_fails_in_an_outage_of_23_hours_and_all_arrives_in_order_after_it(
    world, partner, ann, answer, shown, deliver
):
    for path in (HOOK, MESSAGES):
        world.faults.add(path, "status", 100_000)
    for text in TEXTS:
        partner.write(ann, text, wait=True)
        answer(text)
    deliver()
    waits = pass_hours(20.5, deliver)
    assert waits[0] < timedelta(seconds=4)
    assert timedelta(minutes=12) < max(wait for wait in waits if wait < timedelta(hours=3)) < timedelta(minutes=18)
    assert Delivery.objects.open().count() == 2 * len(TEXTS)
    assert sorted(row.attempts > 0 for row in Delivery.objects.open()) == [False] * 4 + [True] * 2  # the heads
    world.faults.clear()
    move_on(timedelta(minutes=20))
    deliver()
    assert [text for text in shown() if text in TEXTS] == TEXTS * 2  # the operator's own, then the customer's
    assert got(partner, ann) == TEXTS
    assert not Delivery.objects.exclude(status="sent").exists()
    assert partner.misordered == []


def test_after_a_day_answers_fail_one_by_one_and_their_operators_see_why(
    world, portal, partner, ann, answer, deliver
):
    world.faults.add(HOOK, "status", 100_000)
    answers = [answer(text) for text in TEXTS]
    deliver()
    pass_hours(25, deliver)
    world.faults.clear()
    gate.reset()
    answer("I am back")
    deliver()
    messages = world.uspacy.portals[portal.domain].messages
    assert [messages[one["id"]]["status"] for one in answers] == ["error"] * 3
    for one in answers:
        assert "Given up after 24 hours. Send it again once" in messages[one["id"]]["statusText"]
    assert got(partner, ann) == ["I am back"]


def test_a_reconnected_line_does_not_wait_for_its_next_attempt(world, partner, ann, chat, answer, deliver):
    world.faults.add(HOOK, "status", code=429, retry_after=20 * 3600)
    answer("Come back tomorrow")
    deliver()
    gate.reset()
    deliver()
    assert got(partner, ann) == []
    reconnect(chat.line)
    deliver()
    assert got(partner, ann) == ["Come back tomorrow"]


def test_a_portal_that_installs_again_does_not_wait_for_its_next_attempt(
    world, portal, partner, ann, chat, shown, deliver
):
    world.faults.add(MESSAGES, "status", code=503, retry_after=20 * 3600)
    partner.write(ann, "Anyone there?", wait=True)
    deliver()
    gate.reset()
    deliver()
    assert "Anyone there?" not in shown()
    world.uspacy.install(portal.domain)
    deliver()
    assert "Anyone there?" in shown()


def test_what_a_worker_may_have_in_hand_is_not_released(portal, chat, answer):
    answer("once")
    row = Delivery.objects.open().get()
    assert delivery._claim(row)
    for lease in (delivery.LEASE, delivery.STEP_LEASE):
        reconnect(chat.line)
        assert Delivery.objects.get(pk=row.pk).available_at > timezone.now() + lease - timedelta(seconds=60)
        delivery._extend(row)


def test_a_worker_that_ends_begins_no_further_step_and_leaves_the_rest_to_others(
    world, portal, partner, ann, chat, shown, deliver, monkeypatch
):
    world.faults.add(MEDIA, "slow", seconds=1.0)
    partner.write(ann, "A file", [("a.txt", b"abc")], wait=True)
    thread = in_thread(lambda: delivery.drain(chat.pk))
    try:
        assert world.wait_for(lambda: Delivery.objects.open().get().attempts == 1)
        delivery.stop()
        thread.join()
    finally:
        delivery._stopping.clear()
    row = Delivery.objects.get(message__text="A file")
    assert (row.status, row.error) == ("open", "The worker is ending; another one begins again.")
    assert row.available_at < timezone.now() + timedelta(seconds=10)
    assert len(world.requests.matching("/files/v1/files", "POST")) == 0
    Delivery.objects.open().update(available_at=Now())
    deliver()
    assert "A file" in shown()
    assert len(world.requests.matching("/files/v1/files", "POST")) == 1
