"""Background deliveries: what a service sends on its own, after the request that caused it was answered."""

import heapq
import itertools
import threading
import time
import traceback
import zlib
from collections.abc import Callable

Job = Callable[[], float | None]


class Courier:
    """Runs jobs in background threads; jobs with the same key start one after another, in the order given.

    A job returns the seconds after which it wants to run again, or None when it is done. While it waits for
    its next try, later jobs of the same key go ahead, as with every real webhook sender.
    """

    def __init__(self, threads: int = 4) -> None:
        self._changed = threading.Condition()
        self._queues: list[list[tuple[float, int, Job]]] = [[] for _ in range(threads)]
        self._numbers = itertools.count()
        self._open = 0
        self._started = False
        self._closed = False

    def submit(self, key: str, job: Job, delay: float = 0) -> None:
        """Run `job` after `delay` seconds."""
        with self._changed:
            if self._closed:
                return
            if not self._started:
                self._start()
            self._open += 1
            self._put(self._queues[zlib.crc32(key.encode()) % len(self._queues)], job, delay)

    def idle(self, timeout: float) -> bool:
        """Wait until no job is left; False if there still are after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open == 0 or self._closed, timeout)

    def close(self) -> None:
        """Drop what has not started yet."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _start(self) -> None:
        self._started = True
        for number, queue in enumerate(self._queues):
            threading.Thread(target=self._run, args=(queue,), name=f"courier-{number}", daemon=True).start()

    def _put(self, queue: list[tuple[float, int, Job]], job: Job, delay: float) -> None:
        heapq.heappush(queue, (time.monotonic() + delay, next(self._numbers), job))
        self._changed.notify_all()

    def _run(self, queue: list[tuple[float, int, Job]]) -> None:
        while job := self._next(queue):
            try:
                delay = job()
            except Exception:
                traceback.print_exc()  # a bug of ours: show it, and let the other jobs go on
                delay = None
            with self._changed:
                if delay is None:
                    self._open -= 1
                    self._changed.notify_all()
                else:
                    self._put(queue, job, delay)

    def _next(self, queue: list[tuple[float, int, Job]]) -> Job | None:
        with self._changed:
            while not self._closed:
                wait = queue[0][0] - time.monotonic() if queue else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(queue)[2]
                self._changed.wait(wait)
        return None
