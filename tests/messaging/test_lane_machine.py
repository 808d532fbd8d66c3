"""The lane engine in any interleaving of what may happen to it, as hypothesis finds them, on a real PostgreSQL.

Workers are greenlets that run the engine's own `drain`. Each call to the messenger holds its worker, until the
machine decides what comes of it: an answer of any kind, now or after the lease has lapsed and somebody else has
taken the delivery over, or a crash, before the messenger has the message or after. (Several workers that reach
for one row in the very same moment are in `test_lanes.py`.)
"""

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

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

CHATS = 2
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
    chat: int
    lapsed: bool = False


@dataclass
class Lane:
    """What the messenger got in one chat, and how often each row may have come again."""

    got: list[int] = field(default_factory=list)
    excused: Counter[int] = field(default_factory=Counter)
    refused: set[int] = field(default_factory=set)


class Lanes(RuleBasedStateMachine):
    """Two chats of a line, and any number of workers."""

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
        self.lanes: dict[int, Lane] = {}
        for number in range(CHATS):
            chat = Chat.objects.create(line=line, external_id=str(number), uspacy_id=uuid.uuid4())
            self.lanes[chat.pk] = Lane()
        self.calls: list[Call] = []
        self.settled: dict[int, str] = {}

    # What happens

    @rule(number=st.integers(0, CHATS - 1))
    def an_operator_writes(self, number: int) -> None:
        message = Message.objects.create(
            chat_id=sorted(self.lanes)[number], direction="out", uspacy_id=uuid.uuid4(), text="Hello"
        )
        services.enqueue(message, CUSTOMER)

    @rule(number=st.integers(0, 10))
    def an_operator_edits(self, number: int) -> None:
        if message := nth(Message.objects.filter(chat__in=self.lanes).order_by("pk"), number):
            services.record_edit(message, f"{message.text}!", towards=CUSTOMER)

    @rule(number=st.integers(0, 10))
    def support_sends_again(self, number: int) -> None:
        if row := nth(self.rows().filter(status="failed"), number):
            services.requeue(row)

    @rule(number=st.integers(0, CHATS - 1))
    def a_worker_is_woken(self, number: int) -> None:
        chat = sorted(self.lanes)[number]
        worker = greenlet(lambda: delivery.drain(chat) and None)
        self.go_on(worker, chat)

    @rule()
    def time_passes(self) -> None:
        """So much that every wait and every lease ends."""
        self.rows().filter(status="open").update(available_at=Now())
        for call in self.calls:
            if not call.lapsed:
                call.lapsed = True
                self.lanes[call.chat].excused[call.row] += 1

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def the_messenger_takes_it(self, data: st.DataObject) -> None:
        call = self.one_of_the_calls(data)
        self.lanes[call.chat].got.append(call.row)
        self.go_on(call.worker, call.chat)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), fault=st.sampled_from(sorted(FAULTS)))
    def the_call_fails(self, data: st.DataObject, fault: str) -> None:
        call = self.one_of_the_calls(data)
        if fault == "refused":
            self.lanes[call.chat].refused.add(call.row)
        self.go_on(call.worker, call.chat, FAULTS[fault]())

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), taken=st.booleans())
    def the_worker_is_killed(self, data: st.DataObject, taken: bool) -> None:
        """Between sending and recording, if the messenger has taken it; else before."""
        call = self.one_of_the_calls(data)
        if taken:
            self.lanes[call.chat].got.append(call.row)
            self.lanes[call.chat].excused[call.row] += 1
        call.worker.throw()  # GreenletExit, which as a kill leaves the engine no chance to settle
        assert call.worker.dead

    def one_of_the_calls(self, data: st.DataObject) -> Call:
        return self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))

    def go_on(self, worker: greenlet, chat: int, fault: Exception | None = None) -> None:
        """Run a worker to its next call or its end."""
        row = worker.switch(*() if not worker else (fault,))
        if not worker.dead:
            self.calls.append(Call(worker, row, chat))

    def rows(self):
        return Delivery.objects.filter(chat__in=self.lanes, destination=CUSTOMER).order_by("pk")

    # What always holds

    @invariant()
    def one_call_at_a_time(self) -> None:
        held = Counter(call.chat for call in self.calls if not call.lapsed)
        assert all(count == 1 for count in held.values())

    @invariant()
    def order_holds(self) -> None:
        for lane in self.lanes.values():
            first_times = list(dict.fromkeys(lane.got))
            assert first_times == sorted(first_times)

    @invariant()
    def nothing_comes_again_but_after_a_crash(self) -> None:
        for lane in self.lanes.values():
            assert all(times <= 1 + lane.excused[row] for row, times in Counter(lane.got).items())

    @invariant()
    def only_heads_are_tried_and_what_is_settled_stays_so(self) -> None:
        heads: set[int] = set()
        settled: dict[int, str] = {}
        for row, chat, status, attempts in self.rows().values_list("pk", "chat", "status", "attempts"):
            if status != "open":
                settled[row] = status
            elif chat in heads:
                assert attempts == 0
            else:
                heads.add(chat)
        assert self.settled.items() <= settled.items()
        self.settled = settled

    def teardown(self) -> None:
        """Once everything works, all that is left is delivered."""
        if not hasattr(self, "lanes"):
            return
        while self.calls:
            call = self.calls.pop()
            call.worker.throw()
        for _round in range(2):
            self.time_passes()
            for chat in self.lanes:
                self.go_on(greenlet(lambda chat=chat: delivery.drain(chat) and None), chat)
                while self.calls:
                    call = self.calls.pop()
                    self.lanes[chat].got.append(call.row)
                    self.go_on(call.worker, chat)
        self.order_holds()
        for row in self.rows().select_related("message"):
            lane = self.lanes[row.chat_id]
            assert row.status != "open"
            if row.status == "failed":
                assert row.pk in lane.refused
                assert row.error
            elif row.kind == "message":
                assert row.pk in lane.got
                assert row.message.status == "sent"


def nth(rows, number: int):
    """One of the rows, whatever the number; None if there are none."""
    found = list(rows)
    return found[number % len(found)] if found else None


@pytest.mark.django_db
def test_no_interleaving_breaks_a_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CHANNELS, "scripted", Scripted)
    run_state_machine_as_test(Lanes, settings=effort(20, stateful_step_count=25))
