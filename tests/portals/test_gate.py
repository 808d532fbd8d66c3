"""One gate, seen from the calls that want to pass it."""

import functools
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest

from portals import gate as gates
from portals.gate import Gate, Visit, gate_for
from portals.http import Busy, Refused, RemoteError, ServerFault, Throttled, TooLarge, Unreachable


class Clock:
    """Monotonic time that stands still until it is told otherwise."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def gate() -> Iterator[Gate]:
    gates.reset()
    yield gate_for("acme.uspacy.ua")
    gates.reset()


def succeed(gate: Gate) -> None:
    with gate.admitted():
        pass


def fail(gate: Gate, error: RemoteError | None = None) -> None:
    error = error or Unreachable("down")
    with pytest.raises(type(error)), gate.admitted():
        raise error


def room(gate: Gate) -> int:
    """Count how many calls the gate admits at once, and end them in a way that says nothing of the remote."""
    calls: list[AbstractContextManager[Visit]] = []
    while gate.delay() == 0:
        calls.append(gate.admitted())
        calls[-1].__enter__()
    end(calls, Refused("only looking"))
    return len(calls)


def end(calls: list[AbstractContextManager[Visit]], error: RemoteError) -> None:
    for call in calls:
        call.__exit__(type(error), error, None)


def test_eight_calls_pass_at_first_and_the_ninth_is_sent_away(gate):
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(gate.admitted())
        with pytest.raises(Busy, match="has no room for another call") as caught, gate.admitted():
            pass
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after < 1
    assert caught.value.retryable
    assert gate.delay() == 0


def test_quick_answers_double_the_window_per_round(gate, clock):
    for expected in (8, 16, 32, 64, 64):
        with ExitStack() as stack:
            for _ in range(expected):
                stack.enter_context(gate.admitted())
            with pytest.raises(Busy), gate.admitted():
                pass


def test_a_window_that_is_not_used_does_not_grow(gate):
    for _ in range(100):
        succeed(gate)
    assert room(gate) == 8


def test_after_an_illness_the_window_grows_only_as_far_as_it_is_used(gate, clock):
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(gate.admitted())
    fail(gate)
    clock.forward(2)
    for _ in range(100):
        succeed(gate)
    assert room(gate) == 2


def test_slow_answers_narrow_the_window_to_two(gate, clock):
    for expected in (7, 6, 5, 4, 3, 2, 2):
        with gate.admitted():
            clock.forward(2)
        assert room(gate) == expected


def test_what_is_slow_depends_on_the_time_allowed(gate, clock):
    with gate.admitted(slow=15):
        clock.forward(14)
    assert room(gate) == 8


@pytest.mark.parametrize("error", [Unreachable("x"), ServerFault("x")])
def test_a_sign_of_illness_shuts_the_gate(gate, clock, error):
    fail(gate, error)
    assert 1 <= gate.delay() < 3
    with pytest.raises(Busy) as caught, gate.admitted():
        pass
    assert caught.value.retry_after >= 1


def test_an_answer_marked_unwell_shuts_the_gate(gate, clock):
    with gate.admitted() as visit:
        visit.unwell = True
    assert gate.delay() >= 1


@pytest.mark.parametrize("error", [Refused("x"), TooLarge("x"), Busy("x")])
def test_a_refusal_leaves_the_gate_as_it_is(gate, error):
    fail(gate, error)
    assert gate.delay() == 0
    assert room(gate) == 8


@pytest.mark.parametrize(("asked", "pause"), [(None, 1), (0, 1), (0.5, 0.5), (30, 30), (60, 60), (3600, 60)])
def test_a_throttled_remote_is_left_alone_for_as_long_as_it_asks(gate, clock, asked, pause):
    for _ in range(2):  # the second pause is no longer than the first
        fail(gate, Throttled("x", retry_after=asked))
        with pytest.raises(Busy), gate.admitted():
            pass
        assert shut_for(gate, clock) == pytest.approx(pause, abs=0.11)
    assert room(gate) == 8  # it is not unwell


def test_an_answer_marked_as_throttled_shuts_the_gate(gate, clock):
    with gate.admitted() as visit:
        visit.throttled(30)
    assert shut_for(gate, clock) == pytest.approx(30, abs=0.11)


def test_answers_to_earlier_calls_do_not_end_the_pause_that_a_remote_asks_for(gate, clock):
    late = gate.admitted()
    late.__enter__()
    with gate.admitted():
        fail(gate, Throttled("x", retry_after=30))
    end([late], Throttled("x", retry_after=5))
    assert shut_for(gate, clock) == pytest.approx(30, abs=0.11)


def test_a_fault_of_our_own_gives_the_room_back(gate):
    for _ in range(20):
        with pytest.raises(ZeroDivisionError), gate.admitted():
            raise ZeroDivisionError
    assert room(gate) == 8


def shut_for(gate: Gate, clock: Clock) -> float:
    """Return how long the gate stays shut, to a tenth of a second; it is open afterwards."""
    start = clock.now
    while True:
        try:
            with gate.admitted():
                raise Refused("only looking")
        except Refused:
            return clock.now - start
        except Busy:
            clock.forward(0.1)


def test_the_pause_doubles_with_each_failure_up_to_a_minute(gate, clock):
    for pause in (1, 2, 4, 8, 16, 32, 60, 60, 60):
        fail(gate)
        assert pause <= shut_for(gate, clock) + 0.01 <= pause * 1.2 + 0.2
    succeed(gate)
    fail(gate)
    assert shut_for(gate, clock) < 1.5


def test_the_pause_has_jitter(clock):
    pauses = set()
    for _number in range(30):
        gate = Gate()
        fail(gate)
        pauses.add(gate.delay())
    assert len(pauses) > 20


def test_after_the_pause_one_probe_at_a_time_passes(gate, clock):
    fail(gate)
    clock.forward(2)
    with gate.admitted():
        assert gate.delay() > 0
        with pytest.raises(Busy), gate.admitted():
            pass
    assert room(gate) == 2  # the probe came back well
    for expected in (4, 8):
        with ExitStack() as stack:
            for _ in range(expected // 2):
                stack.enter_context(gate.admitted())
        assert room(gate) == expected


def test_calls_that_fail_together_count_once(gate, clock):
    calls = [gate.admitted() for _ in range(8)]
    for call in calls:
        call.__enter__()
    end(calls, Unreachable("down"))
    assert shut_for(gate, clock) < 1.5
    assert room(gate) == 1


def test_calls_that_still_hang_do_not_keep_the_probe_out(gate, clock):
    hanging = gate.admitted()
    hanging.__enter__()
    fail(gate)
    clock.forward(2)
    assert gate.delay() == 0
    succeed(gate)
    hanging.__exit__(None, None, None)
    assert room(gate) >= 2


def test_a_good_answer_from_before_opens_the_gate_again(gate, clock):
    with gate.admitted():
        fail(gate)
        assert gate.delay() > 0
    assert gate.delay() == 0


def test_those_sent_away_return_one_after_the_other(gate, clock):
    fail(gate)
    waits = [gate.delay() for _ in range(200)]
    assert all(1 <= wait <= 60 for wait in waits)
    assert all(later > sooner for sooner, later in zip(waits, waits[1:], strict=False))
    assert waits[-1] - waits[0] > 10  # two hundred probes take their time


def test_a_wait_is_never_longer_than_a_minute_and_stays_spread_out(gate, clock):
    for _ in range(8):
        fail(gate)
        clock.forward(100)
    with gate.admitted():
        waits = [gate.delay() for _ in range(5000)]
    assert max(waits) <= 60
    assert all(sum(start <= wait < start + 10 for wait in waits) > 500 for start in range(0, 60, 10))


def test_slots_follow_the_usual_duration_of_a_call(gate, clock):
    for _ in range(30):
        with gate.admitted(slow=99):
            clock.forward(8)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(gate.admitted())
        first, second = gate.delay(), gate.delay()
        assert second - first == pytest.approx(1, rel=0.05)  # eight calls of 8 s: one ends each second


def test_a_reopened_gate_forgets_the_slots_it_gave(gate, clock):
    fail(gate)
    for _ in range(200):
        gate.delay()
    clock.forward(2)
    succeed(gate)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(gate.admitted())
        assert gate.delay() < 1


def test_remotes_do_not_share_a_gate(gate):
    fail(gate)
    assert gate_for("other.uspacy.ua").delay() == 0
    assert gate_for("acme.uspacy.ua") is gate


def test_only_the_latest_remotes_are_kept(gate):
    second = gate_for("second")
    for number in range(gates.REMOTES_KEPT - 2):
        gate_for(str(number))
    assert gate_for("acme.uspacy.ua") is gate
    gate_for("one more")
    assert gate_for("acme.uspacy.ua") is gate
    assert gate_for("second") is not second


def test_many_threads_never_exceed_the_window_nor_lose_room(gate, request):
    request.addfinalizer(functools.partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-6)  # threads change places as often as possible
    inside, most, refused = 0, 0, 0
    lock = threading.Lock()
    start = threading.Barrier(40)

    def work() -> None:
        nonlocal inside, most, refused
        start.wait()
        for _ in range(50):
            try:
                with gate.admitted():
                    with lock:
                        inside += 1
                        most = max(most, inside)
                    time.sleep(0.001)
                    with lock:
                        inside -= 1
                    raise Refused("keeps the window as it is")
            except Busy:
                with lock:
                    refused += 1
            except Refused:
                pass

    threads = [threading.Thread(target=work) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 8
    assert refused > 0
    assert room(gate) == 8


def test_a_hanging_host_costs_one_attempt_at_a_time(gate):
    hung = threading.Event()
    under_way: list[int] = []

    def work() -> None:
        try:
            with gate.admitted():
                under_way.append(1)
                hung.wait(5)
                raise Refused("over")
        except RemoteError:
            pass

    fail(gate)
    time.sleep(1.25)  # until the pause is over
    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    assert len(under_way) == 1
    hung.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(("threads", "taken"), [(8, (4, 2, 1)), (32, (8, 8, 8, 4, 2, 1))])
def test_no_remote_has_more_calls_in_flight_than_it_leaves_threads_to_the_others(
    gate, monkeypatch, threads, taken
):
    monkeypatch.setattr(gates, "threads", threads)
    with ExitStack() as stack:
        for number, calls in enumerate(taken):
            remote = gate_for(f"hanging {number}")
            for _ in range(calls):
                stack.enter_context(remote.admitted())
            assert remote.delay() > 0
        assert room(gate) == 1
    assert room(gate) == min(8, threads // 2)


def test_many_well_remotes_do_not_send_each_other_away_while_each_has_its_eighth_of_the_threads(gate, monkeypatch):
    monkeypatch.setattr(gates, "threads", 32)
    remotes = [gate_for(f"busy {number}") for number in range(9)]
    with ExitStack() as stack:
        for remote in remotes:
            for _ in range(3):
                stack.enter_context(remote.admitted())  # 27 in all, which leaves 5 threads
        assert [room(remote) for remote in remotes] == [1] * 9
        stack.enter_context(remotes[0].admitted())
        stack.enter_context(remotes[1].admitted())
        assert [remote.delay() > 0 for remote in remotes] == [True] * 2 + [False] * 7
        assert room(gate) == 2


@pytest.mark.parametrize(("threads", "probes"), [(32, 8), (4, 1), (1, 1)])
def test_all_remotes_that_are_unwell_share_a_quarter_of_the_threads(gate, monkeypatch, clock, threads, probes):
    monkeypatch.setattr(gates, "threads", threads)
    sick = [gate_for(f"sick {number}") for number in range(60)]
    for remote in sick:
        fail(remote)
    clock.forward(2)
    with ExitStack() as stack:
        for _ in range(probes):
            stack.enter_context(next(remote for remote in sick if remote.delay() == 0).admitted())
        assert all(remote.delay() > 0 for remote in sick)
        assert room(gate) == min(8, (threads - probes + 1) // 2)
    assert sum(remote.delay() == 0 for remote in sick) == 60


def test_the_probes_that_many_threads_make_at_a_time_stay_within_their_share(gate, monkeypatch, request, clock):
    request.addfinalizer(functools.partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-6)
    monkeypatch.setattr(gates, "threads", 32)
    sick = [gate_for(f"sick {number}") for number in range(60)]
    for remote in sick:
        fail(remote)
    clock.forward(2)
    start, over = threading.Barrier(60), threading.Event()
    admitted: list[int] = []
    refused: list[int] = []

    def probe(remote: Gate) -> None:
        start.wait()
        try:
            with remote.admitted():
                admitted.append(1)
                over.wait(10)
                raise Refused("over")
        except Busy:
            refused.append(1)
            if len(refused) == 60 - 8:
                over.set()
        except Refused:
            pass

    probes = [threading.Thread(target=probe, args=[remote]) for remote in sick]
    for thread in probes:
        thread.start()
    for thread in probes:
        thread.join()
    assert len(admitted) == 8


def test_a_remote_that_is_well_again_no_longer_shares_with_the_sick(gate, monkeypatch, clock):
    monkeypatch.setattr(gates, "threads", 4)
    other = gate_for("other.uspacy.ua")
    fail(gate)
    fail(other)
    clock.forward(2)
    succeed(gate)
    with other.admitted():
        assert room(gate) == 2


def test_the_longer_all_calls_hang_the_later_the_others_come_back(gate, clock):
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(gate.admitted())
        waits = []
        for _ in range(4):
            clock.forward(2)
            first = gate.delay()
            waits.append(gate.delay() - first)
    assert waits == pytest.approx([2 / 8, 4 / 8, 6 / 8, 8 / 8])
