"""A circuit breaker and a bulkhead in one: how many calls to one remote may be under way at a time.

A host that hangs must cost one attempt at a time, not the worker pool. So every remote has a window of calls
in flight which adapts like TCP's: quick answers widen it, slow ones narrow it, and a sign that the remote is
unwell shuts the gate for a while, after which one probe at a time goes through until an answer opens it.
Who is not admitted learns so at once, together with a time of its own to come back, so that a thousand
waiting lanes return one after the other and not all together.

A window may be wide, and a remote may go dark at its widest: so none has more calls in flight than there are
threads left for the others. Many that are well would send each other away by that: so a remote may have an eighth
of all threads, as long as more than a sixteenth is free. Many may be dark at a time: so those known to be unwell
share a quarter of the threads, and the others have the rest.

A remote that says it is asked too much (429) is well: its gate only stays shut for as long as it asks.

State is kept per process: it protects this process's threads, and needs no network to do so.
"""

import math
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from portals.remote import Busy, ServerFault, Throttled, Unreachable

FIRST_WINDOW, LEAST_WINDOW, MOST_WINDOW = 8, 2, 64
SLOW = 2.0  # seconds
LONGEST_PAUSE = LONGEST_WAIT = 60.0  # seconds
SHORTEST_INTERVAL = 0.01  # seconds between two slots
REMOTES_KEPT = 10_000

threads = math.inf
"""How many threads of this process may make calls. Set once, by each process that serves."""


class Visit:
    """One admitted call; set `unwell` if its answer says that the remote has a fault."""

    def __init__(self, era: int, *, is_probe: bool) -> None:
        self.era = era
        self.is_probe = is_probe  # of a remote that was unwell when it set out
        self.started = time.monotonic()
        self.unwell = False
        self.pause = 0.0

    def throttled(self, retry_after: float | None) -> None:
        """The answer is a 429: keep the gate shut for as long as it asks."""
        self.pause = min(retry_after or 1.0, LONGEST_PAUSE)


@dataclass
class Underway:
    """The calls in flight to all remotes together, and how many of them are probes."""

    calls: int = 0
    probes: int = 0


_underway = Underway()


class Gate:
    """The calls in flight to one remote."""

    _lock = threading.Lock()  # one for all gates, as they share the threads

    def __init__(self) -> None:
        self._window = FIRST_WINDOW
        self._in_flight: set[Visit] = set()
        self._most = 0  # in flight at once, since the gate last shut
        self._era = 0  # grows each time the gate shuts; calls of an earlier era no longer take up room
        self._failures = 0  # shuttings since the last good answer
        self._shut_until = 0.0
        self._average = 0.2  # seconds per call
        self._next_slot = 0.0

    @contextmanager
    def admitted(self, *, slow: float = SLOW) -> Iterator[Visit]:
        """Let one call through and learn from how it ends; one that takes `slow` seconds or more is slow.

        Raises Busy, before anything is sent, if there is no room.
        """
        visit = self._enter()
        try:
            yield visit
        except (Unreachable, ServerFault):
            self._failed(visit)
            raise
        except BaseException as exc:  # refused, throttled, our own fault: says nothing about the remote's health
            if isinstance(exc, Throttled):
                visit.throttled(exc.retry_after)
            self._leave(visit)
            raise
        if visit.unwell:
            self._failed(visit)
        elif visit.pause:
            self._leave(visit)
        else:
            self._succeeded(visit, slow)

    def delay(self) -> float:
        """Return 0 if a call would be admitted now, else the seconds until the caller's own next chance."""
        with self._lock:
            return self._delay()

    @property
    def is_unwell(self) -> bool:
        """Whether the remote has not given a good answer since the gate last shut."""
        return self._failures > 0

    def _enter(self) -> Visit:
        with self._lock:
            if wait := self._delay():
                raise Busy("The other side has no room for another call now.", code="busy", retry_after=wait)
            visit = Visit(self._era, is_probe=self._failures > 0)
            self._in_flight.add(visit)
            self._most = max(self._most, len(self._in_flight))
            _underway.calls += 1
            _underway.probes += visit.is_probe
            return visit

    def _delay(self) -> float:
        now = time.monotonic()
        if now >= self._shut_until and self._has_room():
            return 0.0
        earliest = max(now, self._shut_until)
        hanging = min((now - visit.started for visit in self._in_flight), default=0.0)  # even the youngest call
        interval = max(self._average, hanging) / self._window
        slot = max(earliest, self._next_slot) + max(interval, SHORTEST_INTERVAL)
        if slot > now + LONGEST_WAIT:  # begin again: several callers then share a slot, still evenly spread
            slot = earliest + SHORTEST_INTERVAL
        self._next_slot = slot
        return min(slot - now, LONGEST_WAIT)

    def _has_room(self) -> bool:
        if self._failures and _underway.probes >= max(1, threads / 4):
            return False
        free = threads - _underway.calls
        most = max(free, threads / 8) if free > threads / 16 else free
        return len(self._in_flight) < min(self._window, most)

    def _leave(self, visit: Visit) -> None:
        with self._lock:
            self._release(visit)
            if visit.pause:
                self._shut_until = max(self._shut_until, time.monotonic() + visit.pause)

    def _succeeded(self, visit: Visit, slow: float) -> None:
        with self._lock:
            if self._release(visit) >= slow:
                self._window = max(LEAST_WINDOW, self._window - 1)
            elif self._window < min(2 * self._most, MOST_WINDOW):  # grow no further than has been tried
                self._window += 1
            if self._failures:
                self._failures, self._shut_until, self._next_slot = 0, 0.0, 0.0

    def _failed(self, visit: Visit) -> None:
        with self._lock:
            self._release(visit)
            if visit.era != self._era:
                return  # it set out before the gate shut: the same trouble, not one more
            self._era += 1
            self._in_flight, self._most = set(), 0
            self._window = 1
            self._failures += 1
            pause = min(LONGEST_PAUSE, 2.0 ** min(self._failures - 1, 10))
            self._shut_until = time.monotonic() + pause * random.uniform(1.0, 1.2)  # noqa: S311 - no secret

    def _release(self, visit: Visit) -> float:
        """Give the room back and return how long the call took, in seconds."""
        took = time.monotonic() - visit.started
        self._average += (took - self._average) / 5
        _underway.calls -= 1
        _underway.probes -= visit.is_probe
        self._in_flight.discard(visit)
        return took


_gates: OrderedDict[str, Gate] = OrderedDict()
_gates_lock = threading.Lock()


def gate_for(key: str) -> Gate:
    """Return the gate of a remote; the ones not asked for longest are forgotten beyond 10,000."""
    with _gates_lock:
        gate = _gates.get(key)
        if gate is None:
            gate = _gates[key] = Gate()
        _gates.move_to_end(key)
        if len(_gates) > REMOTES_KEPT:
            _gates.popitem(last=False)
        return gate


def reset() -> None:
    """Forget every gate and every call under way, between two tests."""
    with _gates_lock:
        _gates.clear()
        _underway.calls = _underway.probes = 0
