"""How often a message is tried again: what may have arrived once only, and what is only doubtful patiently."""

import uuid
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from externallines.channels.base import AccountProblem, AccountThrottled, Blocked, Doubtful
from messaging import dead_ends, pacing, services
from messaging.models import Chat, Delivery, Message
from portals.http import ServerFault, Throttled, Unreachable
from tests.toy import Toy

pytestmark = pytest.mark.django_db(transaction=True)

UNANSWERED = Unreachable("The toy did not answer in time.", code="timeout")
AWAY = ServerFault("The toy is away.", code="503")


@pytest.fixture
def chat(toy, deliver):
    toy.writes()
    deliver()
    return Chat.objects.get()


@pytest.fixture
def answer(chat):
    def answer(text="Hi"):
        message = Message.objects.create(chat=chat, direction="out", uspacy_id=uuid.uuid4(), text=text)
        return services.enqueue(message, Delivery.Destination.CUSTOMER)

    return answer


@pytest.fixture
def attempt(deliver, pass_time):
    """Make an attempt at a delivery, whatever it waits for, and return what became of it."""

    def attempt(row):
        pass_time()
        pacing.reset()
        deliver()
        row.refresh_from_db()
        return row.status

    return attempt


@pytest.mark.parametrize(
    "failure",
    [
        UNANSWERED,
        Unreachable("The toy broke off.", code="broken"),
        ServerFault("Not JSON.", code="200"),
        ServerFault("No id."),
    ],
)
def test_what_may_have_arrived_is_repeated_once(toy, answer, attempt, failure):
    row = answer()
    toy.failures = [failure] * 3
    assert [attempt(row), attempt(row), attempt(row)] == ["open", "failed", "failed"]
    row.message.refresh_from_db()
    assert row.message.error == dead_ends.told("MayHaveArrived", f"It may or may not have arrived: {failure}")
    assert (row.attempts, len(toy.failures)) == (2, 1)


@pytest.mark.parametrize("failure", [Unreachable("No route.", code="connect"), AWAY, Throttled("Slowly.")])
def test_what_cannot_have_arrived_is_tried_again_freely(toy, answer, attempt, failure):
    row = answer()
    toy.failures = [UNANSWERED, failure, failure]
    assert [attempt(row) for _time in range(4)] == ["open", "open", "open", "sent"]


def test_a_messenger_that_knows_repeats_gets_as_many_as_it_takes(toy, answer, attempt, monkeypatch):
    monkeypatch.setattr(Toy, "repeats_are_known", True)
    row = answer()
    toy.failures = [UNANSWERED] * 3
    assert [attempt(row) for _time in range(4)] == ["open", "open", "open", "sent"]


def test_each_part_may_be_repeated_once(toy, answer, attempt):
    row = answer("one|two")
    toy.failures = [UNANSWERED, None, UNANSWERED, None]
    assert [attempt(row) for _time in range(3)] == ["open", "open", "sent"]
    assert toy.texts == ["one", "two"]


def test_only_failures_of_one_kind_in_a_row_are_taken_for_final(toy, chat, answer, attempt):
    row, doubt = answer(), Doubtful(Blocked("Gone."), tolerated=1)
    toy.failures = [AWAY, AWAY, AWAY, doubt, AWAY, doubt, doubt]
    assert [attempt(row) for _time in range(7)] == ["open"] * 6 + ["failed"]
    chat.refresh_from_db()
    assert chat.blocked


def test_a_customer_is_not_taken_for_gone_within_seconds(toy, answer, attempt):
    row = answer()
    toy.failures = [Doubtful(Blocked("Gone."), tolerated=4)]
    attempt(row)
    assert row.available_at > timezone.now() + timedelta(seconds=40)


def test_a_problem_of_the_account_is_tolerated_however_many_other_failures_were_before(toy, answer, attempt):
    row, problem = answer(), AccountProblem("The token is wrong.", tolerated=1)
    toy.failures = [AWAY, AWAY, AWAY, problem, problem]
    for _time in range(4):
        attempt(row)
    toy.line.refresh_from_db()
    assert toy.line.status == "active"
    attempt(row)
    toy.line.refresh_from_db()
    assert toy.line.status == "error"


def test_an_account_pauses_as_long_as_its_messenger_asks_and_not_as_one_message_does(toy, answer, deliver):
    row = answer()
    Delivery.objects.filter(pk=row.pk).update(attempts=9, available_at=Now())
    toy.failures = [AccountThrottled("Slowly.", retry_after=3.0)]
    deliver()
    row = Delivery.objects.select_related("chat__line").get(pk=row.pk)
    assert row.available_at > timezone.now() + timedelta(minutes=5)
    assert 0 < pacing.delay(row) < 4
