"""The lane engine in any interleaving of what may happen to it, as hypothesis finds them, on a real PostgreSQL.

Workers are greenlets that run the engine's own `drain`. Each call to the messenger holds its worker, until the
machine decides what comes of it: an answer of any kind, now or after the lease has lapsed and somebody else has
taken the delivery over, or a crash, before the messenger has the message or after. (Several workers that reach
for one row in the very same moment are in `test_lanes.py`.)
"""

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.db.models.functions import Now
from greenlet import getcurrent, greenlet
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from externallines.channels import CHANNELS
from externallines.channels.base import OutboundMessage, Receipt
from externallines.channels.webhook import Webhook
from externallines.models import ExternalLine
from messaging import delivery, services
from messaging.models import Chat, Delivery, Message
from portals.http import Refused, ServerFault, Throttled
from portals.models import Portal
from tests.adversaries import effort

CUSTOMER = Delivery.Destination.CUSTOMER
FAULTS: dict[str, Callable[[], Exception]] = {
    "refused": lambda: Refused("The messenger does not want it."),
    "away": lambda: ServerFault("The messenger is away.", code="503"),
    "busy": lambda: Throttled("The messenger asks for patience.", code="429", retry_after=60),
    "our fault": lambda: RuntimeError("a bug"),
}


class Scripted(Webhook):
    """A messenger whose every answer is decided by the machine, in whose greenlet it runs."""

    slug = "scripted"
    remote = "scripted"

    def send(self, message: OutboundMessage) -> Receipt:
        self._ask(message)
        return Receipt(f"external-{message.client_id}")

    def edit(self, message: OutboundMessage) -> None:
        self._ask(message)

    def _ask(self, message: OutboundMessage) -> None:
        parent = getcurrent().parent
        assert parent is not None
        if fault := parent.switch(int(message.delivery_id)):
            raise fault


@dataclass(eq=False)
class Call:
    """A worker in the middle of its call for a row."""

    worker: greenlet
    row: int
    lapsed: bool = False


class Lanes(RuleBasedStateMachine):
    """The lane of a chat in which three messages wait, and any number of workers."""

    @initialize()
    def connect(self) -> None:
        name = uuid.uuid4().hex
        line = ExternalLine.objects.create(
            portal=Portal.objects.create(domain=f"{name}.uspacy.ua", status="active"),
            channel="scripted",
            name="Shop",
            external_id=name,
            status="active",  # with no uspacy_id, so that the statuses towards Uspacy wait
        )
        self.chat = Chat.objects.create(line=line, external_id="Ann", uspacy_id=uuid.uuid4())
        self.calls: list[Call] = []
        self.got: list[int] = []  # by the messenger: ids of rows
        self.excused: Counter[int] = Counter()  # how often a row may come again
        self.refused: set[int] = set()
        self.settled: dict[int, str] = {}
        for _message in range(3):
            self.something_is_queued("message", 0)
        self.a_worker_is_woken()

    # What happens

    @rule(kind=st.sampled_from(["message", "edit", "again"]), number=st.integers(0, 5))
    def something_is_queued(self, kind: str, number: int) -> None:
        """An operator writes or edits, or support sends again what has failed."""
        if kind == "message":
            message = Message.objects.create(chat=self.chat, direction="out", uspacy_id=uuid.uuid4(), text="Hello")
            services.enqueue(message, CUSTOMER)
        elif kind == "edit":
            written = list(self.chat.messages.order_by("pk"))
            message = written[number % len(written)]
            services.record_edit(message, f"{message.text}!", towards=CUSTOMER)
        elif failed := list(self.rows().filter(status="failed")):
            services.requeue(failed[number % len(failed)])

    @rule()
    def a_worker_is_woken(self) -> None:
        self.go_on(greenlet(lambda: delivery.drain(self.chat.pk) and None))

    @rule()
    def time_passes(self) -> None:
        """So much that every wait and every lease ends."""
        self.rows().filter(status="open").update(available_at=Now())
        for call in self.calls:
            if not call.lapsed:
                call.lapsed = True
                self.excused[call.row] += 1

    @precondition(lambda self: self.calls)
    @rule(number=st.integers(0, 5))
    def the_messenger_takes_it(self, number: int) -> None:
        call = self.take_call(number)
        self.got.append(call.row)
        self.go_on(call.worker)

    @precondition(lambda self: self.calls)
    @rule(number=st.integers(0, 5), fault=st.sampled_from(sorted(FAULTS)))
    def the_call_fails(self, number: int, fault: str) -> None:
        call = self.take_call(number)
        if fault == "refused":
            self.refused.add(call.row)
        self.go_on(call.worker, FAULTS[fault]())

    @precondition(lambda self: self.calls)
    @rule(number=st.integers(0, 5), taken=st.booleans())
    def the_worker_is_killed(self, number: int, taken: bool) -> None:
        """Between sending and recording, if the messenger has taken it; else before."""
        call = self.take_call(number)
        if taken:
            self.got.append(call.row)
            self.excused[call.row] += 1
        kill(call.worker)

    def take_call(self, number: int) -> Call:
        return self.calls.pop(number % len(self.calls))

    def go_on(self, worker: greenlet, fault: Exception | None = None) -> None:
        """Run a worker to its next call or its end."""
        row = worker.switch(*((fault,) if worker else ()))
        if not worker.dead:
            self.calls.append(Call(worker, row))

    def rows(self):
        return Delivery.objects.filter(chat=self.chat, destination=CUSTOMER).order_by("pk")

    # What always holds

    @invariant()
    def one_call_at_a_time(self) -> None:
        assert len([call for call in self.calls if not call.lapsed]) <= 1

    @invariant()
    def order_holds(self) -> None:
        first_times = list(dict.fromkeys(self.got))
        assert first_times == sorted(first_times)

    @invariant()
    def nothing_comes_again_but_after_a_crash(self) -> None:
        assert all(times <= 1 + self.excused[row] for row, times in Counter(self.got).items())

    @invariant()
    def only_the_head_is_tried_and_what_is_settled_stays_so(self) -> None:
        rows = list(self.rows().values_list("pk", "status", "attempts"))
        waiting = [attempts for _row, status, attempts in rows if status == "open"]
        assert not any(waiting[1:])
        settled = {row: status for row, status, _attempts in rows if status != "open"}
        assert self.settled.items() <= settled.items()
        self.settled = settled

    def teardown(self) -> None:
        """Once everything works, all that is left is delivered."""
        if not hasattr(self, "calls"):
            return
        while self.calls:
            kill(self.calls.pop().worker)
        self.time_passes()
        self.a_worker_is_woken()
        while self.calls:
            self.the_messenger_takes_it(0)
        self.order_holds()
        for row in self.rows().select_related("message"):
            assert row.status != "open"
            if row.status == "failed":
                assert row.pk in self.refused
                assert row.error
            elif row.kind == "message":
                assert row.pk in self.got
                assert row.message.status == "sent"


def kill(worker: greenlet) -> None:
    """End a worker in the middle of its call: GreenletExit leaves the engine no chance to settle."""
    worker.throw()
    assert worker.dead


@pytest.mark.django_db
def test_no_interleaving_breaks_a_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CHANNELS, "scripted", Scripted)
    run_state_machine_as_test(Lanes, settings=effort(30, stateful_step_count=25))
