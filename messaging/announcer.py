"""Telling the workers which chats have something to deliver, off the request and in batches.

Publishing costs as much as a third of all else that a webhook does, and hangs while the broker is away. So a
thread of each process does it: almost at once where there was a pause, and under load what has come within the
pause, together. What it loses, by a crash or an unreachable broker, the sweep finds: correctness never depends on
an announcement.
"""

import os
import threading
import time
from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import islice
from typing import Any

import structlog
from django.conf import settings

from config.celery import app

log = structlog.get_logger(__name__)

DRAIN_CHAT = "messaging.tasks.drain_chat"
EXPIRES_SECONDS = 60  # a wake-up that waited longer is stale: the sweep announces its chat again
CHATS_PER_WAKE_UP = 16  # Celery's own work for a task is more than the delivery of a message
PAUSE = 0.025  # seconds between two publications
# Seconds that a wake-up waits at least: a worker that is just settling the last it knew of the chat, and so looks
# no further, has committed by then, or the sweep has to find the chat (`Delivery.is_last`).
HEAD_START = 0.005
MAX_WAITING = 50_000  # chats; more than that is left to the sweep
PAUSE_AFTER_FAILURE = 1.0


class Announcer:
    """A process's queue of chats to announce, each once, and the thread that publishes them when due."""

    def __init__(self) -> None:
        self._wanted = threading.Condition()
        self._due: list[tuple[float, int]] = []
        self._at: dict[int, float] = {}  # chat id -> when to announce it
        self._thread: threading.Thread | None = None

    def announce(self, chat_id: int, delay: float = 0.0) -> None:
        """Have a worker look at the chat in `delay` seconds. Never blocks, never raises."""
        at = time.monotonic() + max(delay, HEAD_START)
        with self._wanted:
            if at >= self._at.get(chat_id, float("inf")) or len(self._at) >= MAX_WAITING:
                return
            self._at[chat_id] = at
            heappush(self._due, (at, chat_id))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)
                self._thread.start()
            self._wanted.notify()

    def _run(self) -> None:
        while True:
            batch = self._collect()
            try:
                publish(batch)
            except Exception as exc:  # whatever it is: the sweep finds these chats, and the thread goes on
                log.warning("announcement_failed", chats=len(batch), reason=type(exc).__name__)
                time.sleep(PAUSE_AFTER_FAILURE)
            time.sleep(PAUSE)

    def _collect(self) -> list[int]:
        """Wait until a chat is due and return all that are."""
        with self._wanted:
            while not self._due or self._due[0][0] > time.monotonic():
                self._wanted.wait(self._due[0][0] - time.monotonic() if self._due else None)
            batch, now = [], time.monotonic()
            while self._due and self._due[0][0] <= now:
                at, chat_id = heappop(self._due)
                if self._at.get(chat_id) == at:
                    del self._at[chat_id]
                    batch.append(chat_id)
        return batch


def publish(chat_ids: Iterable[int]) -> None:
    """Publish `drain_chat` wake-ups, some chats in each, over one connection. OperationalError or OSError."""
    waiting = iter(chat_ids)
    with app.producer_pool.acquire(block=True, timeout=5) as producer:
        while some := tuple(islice(waiting, CHATS_PER_WAKE_UP)):
            app.send_task(DRAIN_CHAT, some, producer=producer, expires=EXPIRES_SECONDS)


def backlog() -> int:
    """Return how many published wake-ups wait for a worker. Raises what kombu does while the broker is away."""
    queue: Any = app.amqp.queues[settings.CELERY_TASK_ROUTES[DRAIN_CHAT]["queue"]]  # whose stubs are wrong
    with app.producer_pool.acquire(block=True, timeout=5) as producer:
        # The answer has the count. Declared in any other way than all declare it, RabbitMQ would refuse.
        declared = queue.bind(producer.channel).queue_declare()
    return int(declared.message_count)


_announcer = Announcer()
announce = _announcer.announce
os.register_at_fork(after_in_child=_announcer.__init__)  # type: ignore[misc]  # threads do not survive a fork
