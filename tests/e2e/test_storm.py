"""Everything breaks at once, again and again: nothing is lost, nothing comes twice, order holds.

Two web processes, two workers, one of which is on a host whose clock is wrong, and two beats.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice

import pytest
import redis

from config.embedded import Server
from tests.e2e.business import Business, query
from tests.e2e.conftest import MINUTES, Tell
from tests.e2e.traffic import Conversation, Traffic, converse, settle_account, shops_of
from tests.simulators import World
from tests.stack import ROOT, Stack

PORTALS, CHATS = 4, 5
CYCLES, KILLS = (round(MINUTES), 8) if MINUTES else (1, 4)  # kills a cycle
CYCLE = 60.0 if MINUTES else 10.0  # seconds, in which everything else goes wrong once
KILL_EVERY = CYCLE / KILLS  # seconds; on a busy machine as often as killed workers are ready again
BROKER_AWAY = 10.0 if MINUTES else 2.0  # seconds
PER_SECOND, MOST = 15.0, 10_000_000 if MINUTES else 200  # messages each way
SKEWED_WORKER, SKEW = "skewed worker", 7  # seconds
SKEWED = str(ROOT / "tests" / "e2e" / "skewed")
PATIENCE = 180.0  # seconds; a storm on a busy machine

# A worker that dies leaves its claims to lapse after three minutes (`LEASE` in messaging/delivery.py). No step
# takes longer than a few seconds in this storm, so that what was claimed before a death and is still open
# at the next is the dead worker's; what waits for its next attempt does so for less than a minute.
LAPSE = """
    UPDATE messaging_delivery SET available_at = now() - interval '10 s'
    WHERE status = 'open' AND available_at BETWEEN now() + interval '1 min' AND %s + interval '3 min'
"""
IN_HAND = """
    SELECT count(*) FILTER (WHERE destination = 'customer'), now() FROM messaging_delivery
    WHERE status = 'open' AND available_at > now() + interval '1 min'
"""


class Killer(threading.Thread):
    """Kills the workers in turn, as soon as they are ready, and starts each again at once."""

    def __init__(self, stack: Stack, kills: int) -> None:
        super().__init__(name="killer", daemon=True)
        self.killed = 0
        self.in_hand = 0  # calls to the partner that may have been under way when a worker died
        self.peace = threading.RLock()  # held while nothing may be killed
        self._stack = stack
        self._kills = kills

    def run(self) -> None:
        for name in islice(cycle([SKEWED_WORKER, "worker"]), self._kills):
            time.sleep(KILL_EVERY)
            while not self._stack.worker_is_ready(name):
                time.sleep(0.1)
            with self.peace:
                self._kill(name)

    def _kill(self, name: str) -> None:
        self._stack.kill(name)
        self.killed += 1
        [(in_hand, died_at)] = query(self._stack, IN_HAND)
        self.in_hand += in_hand
        start_worker(self._stack, name)
        lapse = threading.Timer(KILL_EVERY, self.let_lapse, [died_at])
        lapse.daemon = True
        lapse.start()

    def let_lapse(self, died_at: object) -> None:
        with self.peace:
            query(self._stack, LAPSE, died_at)


def start_worker(stack: Stack, name: str) -> None:
    skew = {"PYTHONPATH": SKEWED, "CLOCK_SKEW": str(SKEW)} if name == SKEWED_WORKER else {}
    stack.start("worker", as_name=name, **skew)


@contextmanager
def away(server: Server, with_signal: signal.Signals) -> Iterator[None]:
    """Kill a server of the stack's own, and start it again at the end, at the same address."""
    os.kill(int((server.home / server.pid_file).read_text().split()[0]), with_signal)
    try:
        yield
    finally:
        server.use()


def hurt(world: World, shops: list[Business]) -> int:
    """Let Uspacy and the partners fail in every way; return how many answers of partners will be lost."""
    for shop in shops:
        for path in ("/messenger/v1/messages$", f"/partner/{shop.messenger.id}/hook$"):
            domain = shop.domain if path.startswith("/messenger") else None
            world.faults.add(path, "status", 2, domain, "POST", code=500)
            world.faults.add(path, "status", 1, domain, "POST", code=429, retry_after=2)
            world.faults.add(path, "hang", 1, domain, "POST", seconds=1)
            world.faults.add(path, "cut", 1, domain, "POST")
            world.faults.add(path, "stored_then_cut", 1, domain, "POST")
    return len(shops)


def blow(stack: Stack, conversations: list[Conversation], killer: Killer) -> int:
    """One cycle of the storm; return how many answers of partners were lost in it."""
    began, world = time.monotonic(), stack.world

    def until(part: float) -> None:
        time.sleep(max(0.0, began + part * CYCLE - time.monotonic()))

    until(0.1)
    with redis.Redis.from_url(stack.redis_url) as broker:
        broker.flushall()
    until(0.15)
    lost = hurt(world, shops_of(conversations))
    until(0.25)
    random.choice(stack.web_processes()).kill()
    until(0.35)
    with away(stack.valkey, signal.SIGKILL):
        time.sleep(BROKER_AWAY)
    until(0.6)
    with (
        killer.peace,
        away(stack.postgres, signal.SIGQUIT),
    ):  # at once, as in a power cut: it recovers from its log
        time.sleep(0.5)
    until(0.75)
    world.sns.copies = 2  # Amazon delivers at least once, and so does the partner
    for one in conversations:
        one.shop.messenger.redeliver(random.choice(one.sent))
    until(0.9)
    world.sns.copies = 1
    until(1)
    return lost


@pytest.mark.soak
@pytest.mark.timeout(MINUTES * 120 + 600)
def test_a_storm_loses_nothing_repeats_nothing_and_keeps_the_order(
    new_business: Callable[..., Business], world: World, stack: Stack, tell: Tell
) -> None:
    shops = [new_business() for _ in range(PORTALS)]
    conversations = converse(shops, CHATS)
    killer, traffic = Killer(stack, KILLS * CYCLES), Traffic(conversations, PER_SECOND, MOST)
    lost_answers, began = 0, time.monotonic()
    start_worker(stack, SKEWED_WORKER)
    stack.start("beat", as_name="second beat")
    try:
        traffic.start()
        killer.start()
        for _cycle in range(CYCLES):
            lost_answers += blow(stack, conversations, killer)
        killer.join()
        traffic.stop()
        world.faults.clear()
        calm = time.monotonic()
        for shop in shops:
            shop.rest(PATIENCE + MINUTES * 60)  # who was refused all along comes back after as long again
        rested = time.monotonic()
        assert [name for name, process in stack.processes.items() if process.poll() is not None] == []
    finally:
        stack.kill(SKEWED_WORKER)
        stack.kill("second beat")
    passages = settle_account(conversations)
    repeats = sum(shop.messenger.repeats for shop in shops)
    assert repeats <= killer.in_hand + lost_answers
    waits = sorted(passage.seconds for passage in passages)
    tell(
        "storm",
        f"{calm - began:.0f} s, {traffic.written} messages each way, {len(conversations)} chats; workers killed"
        f" {killer.killed} times; web killed, Valkey emptied and lost, PostgreSQL crashed {CYCLES} times each",
    )
    tell(
        "storm",
        f"lost 0, twice in Uspacy 0, out of order 0; repeats at partners {repeats}, of {killer.in_hand} calls"
        f" in hand of workers when one was killed, and {lost_answers} answers cut off",
    )
    tell(
        "storm",
        f"from accepted to delivered p50 {waits[len(waits) // 2]:.1f} s, longest {waits[-1]:.1f} s; at rest"
        f" {rested - calm:.0f} s after the storm",
    )
