"""Budgets of accounts and chats, and pauses of whole accounts."""

import socket
import time
import uuid
from datetime import timedelta

import pytest
import redis
from django.db.models.functions import Now
from django.utils import timezone

from externallines.channels.base import AccountThrottled, Blocked, Doubtful, Rate
from externallines.channels.errors import AccountProblem
from externallines.models import ExternalLine
from messaging import pacing, services
from messaging.models import Chat, Delivery, Message
from portals.http import Refused, Throttled
from tests.toy import Toy

pytestmark = pytest.mark.django_db(transaction=True)

RARELY = 1 / 600  # a second: no refill while a test runs


@pytest.fixture(autouse=True)
def _account_of_its_own(toy):
    """Budgets outlive a test: in Redis, by the name of the account."""
    ExternalLine.objects.update(external_id=uuid.uuid4().hex)


@pytest.fixture
def chats(toy, deliver):
    for name in ("ann", "ben"):
        toy.writes(chat_id=name)
    deliver()
    return list(Chat.objects.select_related("line").order_by("id"))


def write(chat, text):
    message = Message.objects.create(chat=chat, direction="out", uspacy_id=uuid.uuid4(), text=text)
    return services.enqueue(message, Delivery.Destination.CUSTOMER)


def waiting():
    """The open deliveries to customers, as (attempts, seconds until due)."""
    rows = Delivery.objects.open().filter(destination="customer").order_by("id")
    return [(row.attempts, (row.available_at - timezone.now()).total_seconds()) for row in rows]


def forget_waits():
    Delivery.objects.open().update(available_at=Now())


def another_process():
    """Forget what only this process knows."""
    pacing.reset()


@pytest.fixture
def redis_away(settings):
    """Let nobody listen where Redis was."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    _forget_connection()
    yield
    _forget_connection()


def _forget_connection():
    pacing._redis.cache_clear()
    pacing._script.cache_clear()


def test_an_account_sends_its_burst_and_then_waits_without_an_attempt(toy, chats, deliver, monkeypatch):
    monkeypatch.setattr(Toy, "account_rate", Rate(RARELY, burst=3))
    for number in range(5):
        write(chats[number % 2], f"{number}")
    deliver()
    assert len(toy.texts) == 3
    [(first, first_wait), (second, second_wait)] = waiting()
    assert (first, second) == (0, 0)
    assert first_wait > 10


def test_waiting_chats_come_back_one_after_the_other(toy, chats, deliver, monkeypatch):
    monkeypatch.setattr(Toy, "account_rate", Rate(0.1, burst=1))
    for chat in chats:
        write(chat, "one")
    write(chats[0], "two")
    deliver()
    assert len(toy.texts) == 1
    waits = sorted(wait for _attempts, wait in waiting() if wait > 0)
    assert len(waits) == 2
    assert waits[1] - waits[0] > 5  # their places are ten seconds apart


def test_a_chat_has_a_budget_of_its_own(toy, chats, deliver, monkeypatch):
    monkeypatch.setattr(Toy, "chat_rate", Rate(RARELY, burst=1))
    for chat in chats:
        write(chat, f"one to {chat.external_id}")
        write(chat, f"two to {chat.external_id}")
    deliver()
    assert sorted(toy.texts) == ["one to ann", "one to ben"]


def test_a_chat_without_budget_costs_its_account_nothing(toy, chats, deliver, monkeypatch):
    monkeypatch.setattr(Toy, "account_rate", Rate(RARELY, burst=2))
    monkeypatch.setattr(Toy, "chat_rate", Rate(RARELY, burst=1))
    for number in range(3):
        write(chats[0], f"{number}")
    deliver()
    forget_waits()
    deliver()
    write(chats[1], "other")
    deliver()
    assert toy.texts == ["0", "other"]


def test_budgets_fill_up_again(toy, chats, deliver, monkeypatch):
    monkeypatch.setattr(Toy, "account_rate", Rate(20.0, burst=1))
    write(chats[0], "one")
    write(chats[0], "two")
    deliver()
    time.sleep(0.1)  # twice what one message takes
    forget_waits()
    deliver()
    assert toy.texts == ["one", "two"]


def test_what_goes_to_uspacy_has_no_budget(world, portal, toy, chats, deliver, monkeypatch):
    monkeypatch.setattr(Toy, "account_rate", Rate(RARELY, burst=1))
    for number in range(3):
        toy.writes(f"{number}")
    deliver()
    assert len(world.uspacy.portals[portal.domain].messages) == 5


def test_without_redis_everything_goes_out_at_once(toy, chats, deliver, monkeypatch, redis_away):
    monkeypatch.setattr(Toy, "account_rate", Rate(RARELY, burst=1))
    for number in range(3):
        write(chats[0], f"{number}")
    deliver()
    assert toy.texts == ["0", "1", "2"]


def test_a_redis_that_hangs_is_not_waited_for(toy, chats, deliver, settings, monkeypatch, request):
    monkeypatch.setattr(Toy, "account_rate", Rate(RARELY, burst=1))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        _forget_connection()
        request.addfinalizer(_forget_connection)
        head = Delivery.objects.select_related("chat__line").get(pk=write(chats[0], "0").pk)
        started = time.monotonic()
        assert [pacing.delay(head) for _time in range(20)] == [0.0] * 20
        assert time.monotonic() - started < 2  # not 20 times the patience of one
    deliver()
    assert toy.texts == ["0"]


def test_a_throttled_account_pauses_for_all_its_chats_and_processes(toy, chats, deliver):
    toy.failures = [AccountThrottled("Too fast.", retry_after=120.0)]
    write(chats[0], "one")
    write(chats[1], "two")
    deliver()
    forget_waits()
    another_process()
    deliver()
    assert toy.texts == []
    assert len(toy.messages) == 1
    assert [attempts for attempts, _wait in waiting()] == [1, 0]
    assert all(100 < wait < 150 for _attempts, wait in waiting())


def test_a_pause_is_kept_by_this_process_while_redis_is_away(toy, chats, deliver, redis_away):
    toy.failures = [AccountThrottled("Too fast.", retry_after=120.0)]
    write(chats[0], "one")
    deliver()
    write(chats[1], "two")
    deliver()
    assert len(toy.messages) == 1
    another_process()
    forget_waits()
    deliver()
    assert sorted(toy.texts) == ["one", "two"]


def test_another_account_does_not_pause(toy, chats, deliver):
    toy.failures = [AccountThrottled("Too fast.", retry_after=120.0)]
    write(chats[0], "one")
    deliver()
    ExternalLine.objects.update(external_id=uuid.uuid4().hex)
    write(chats[1], "two")
    deliver()
    assert toy.texts == ["two"]


def test_one_message_that_is_throttled_holds_up_its_own_chat_only(toy, chats, deliver):
    toy.failures = [Throttled("Too fast for her.", retry_after=120.0)]
    write(chats[0], "one")
    write(chats[1], "two")
    deliver()
    assert len(toy.texts) == 1
    assert [attempts for attempts, _wait in waiting()] == [1]


@pytest.mark.parametrize(
    ("final", "state"),
    [(Refused("No."), "failed"), (Blocked("She has blocked you."), "failed"), (AccountProblem("Pay."), "open")],
)
def test_a_doubtful_failure_is_final_when_it_has_happened_often(toy, chats, deliver, final, state):
    toy.failures = [Doubtful(final, tolerated=2)] * 3
    row = write(chats[0], "one")
    for attempts in (1, 2):
        forget_waits()
        deliver()
        row.refresh_from_db()
        assert (row.status, row.attempts) == ("open", attempts)
    assert ExternalLine.objects.get().status == "active"
    forget_waits()
    deliver()
    row.refresh_from_db()
    assert (row.status, row.error) == (state, str(final))
    assert (ExternalLine.objects.get().status == "error") == (state == "open")
    assert Chat.objects.get(pk=chats[0].pk).blocked == isinstance(final, Blocked)


def test_an_adapter_is_told_when_the_customer_wrote_last(toy, chats, deliver):
    yesterday = timezone.now() - timedelta(days=1)
    for at in (timezone.now() + timedelta(days=9), yesterday):  # a wrong clock, and one that comes late
        toy.writes(chat_id="new", sent_at=at)
    deliver()
    chat = Chat.objects.get(external_id="new")
    write(chat, "Hi")
    deliver()
    told = toy.messages[-1].customer_wrote_at
    assert timezone.now() - timedelta(minutes=2) < told <= timezone.now()


def test_the_budgets_leave_nothing_behind_in_redis(toy, chats, deliver, settings, monkeypatch):
    monkeypatch.setattr(Toy, "account_rate", Rate(10.0, burst=1))
    monkeypatch.setattr(Toy, "chat_rate", Rate(1.0, burst=1))
    write(chats[0], "one")
    write(chats[0], "two")
    deliver()
    client = redis.Redis.from_url(settings.REDIS_URL)
    keys = list(client.scan_iter(f"pace toy {chats[0].line.external_id}*"))
    assert len(keys) >= 2
    assert all(0 < client.ttl(key) <= 130 for key in keys)
