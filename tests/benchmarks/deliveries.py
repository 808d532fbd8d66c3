"""How many messages a second one worker process delivers, beside the loop, and beside what its threads allow."""

import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial

from django.utils import timezone

from messaging import announcer
from messaging.models import Delivery, Message
from tests.benchmarks import loop, report
from tests.benchmarks.measure import Round, Series, interleaved
from tests.benchmarks.product import TEXT, Conversation
from tests.benchmarks.report import Table, progress
from tests.benchmarks.sink import Sink

SECONDS = 8.0  # long enough for the beginning and the end to weigh little
BURST = 20  # messages of a chat
WARM_UP_MESSAGES = 100
LATENCY = 0.1  # seconds
TIMEOUT = 180.0  # on a busy machine a worker takes long to start

SINGLE = "worker, one message in each chat"
BURSTS = f"worker, {BURST} messages in each chat"


class Worker:
    """One worker process, and the customers' messages that it brings into Uspacy."""

    def __init__(self, conversations: Sequence[Conversation], sink: Sink) -> None:
        self._conversations = conversations
        self._sink = sink
        self._used = 0
        progress("deliveries: warm-up")
        self._deliver(WARM_UP_MESSAGES)
        self.rate = self._deliver(WARM_UP_MESSAGES).per_second

    def deliver(self, *, burst: int, at_most: float = float("inf")) -> Round:
        """Deliver what will take about `SECONDS`, at the rate of the warm-up or `at_most` at that rate."""
        return self._deliver(int(min(self.rate, at_most) * SECONDS) // burst, burst)

    def _deliver(self, chats: int, burst: int = 1) -> Round:
        """Store messages, announce their chats as a webhook does, and wait until the last one has arrived."""
        places = self._next(min(chats, len(self._conversations)))
        store(places, burst)
        self._sink.taken()
        started = time.monotonic()
        announcer.publish([place.chat.pk for place in places])
        arrivals = self._sink.wait_for_messages(len(places) * burst, TIMEOUT)
        wait_until_settled()
        return Round(len(arrivals) / (arrivals[-1].at - started))

    def _next(self, count: int) -> list[Conversation]:
        """Return chats in turn, so that they are different ones each time, of all portals."""
        start, self._used = self._used, self._used + count
        return [self._conversations[index % len(self._conversations)] for index in range(start, start + count)]


def store(places: Sequence[Conversation], burst: int) -> None:
    """Store messages as webhooks do, but without announcing them."""
    messages = Message.objects.bulk_create(
        Message(
            chat=place.chat,
            direction=Message.Direction.INBOUND,
            uspacy_id=uuid.uuid4(),
            external_id=uuid.uuid4().hex,
            text=TEXT,
            author_id=place.customer.id,
        )
        for place in places
        for _ in range(burst)
    )
    Delivery.objects.bulk_create(
        Delivery(message=message, chat_id=message.chat_id, destination=Delivery.Destination.USPACY)
        for message in messages
    )


def wait_until_settled() -> None:
    """Wait until the outbox is empty. Raises RuntimeError."""
    until = time.monotonic() + TIMEOUT
    while Delivery.objects.open().exists():
        if time.monotonic() > until:
            raise RuntimeError("the outbox does not come to rest")
        time.sleep(0.05)


def drop_waiting() -> None:
    """Take out of the outbox what was accepted while there was no worker."""
    Delivery.objects.open().update(status=Delivery.Status.SENT, settled_at=timezone.now())


def at_once(worker: Worker, floor: Callable[[], Round], ceiling: float, rounds: int) -> Table:
    """Compare with the loop; `ceiling` is what the remote side itself can take per second."""
    variants: dict[str, Callable[[], Round]] = {
        loop.NAME: floor,
        SINGLE: partial(worker.deliver, burst=1),
        BURSTS: partial(worker.deliver, burst=BURST),
    }
    series = interleaved("deliveries", variants, rounds)
    return Table(
        "Messages delivered by one worker process, remote side answers at once",
        ("", "per second", "range", "of the loop"),
        [_row(name, one, series[loop.NAME].per_second) for name, one in series.items()],
        remark=f"The remote side here can take {report.rate(ceiling)} per second.",
    )


def slowly(worker: Worker, sink: Sink, threads: int, rounds: int) -> Table:
    """Compare with what the worker's threads could do if each had always a call under way."""
    bound = threads / LATENCY
    sink.set_latency(LATENCY)
    series = interleaved(
        f"deliveries at {LATENCY * 1000:.0f} ms",
        {SINGLE: partial(worker.deliver, burst=1, at_most=bound)},
        rounds,
    )
    sink.set_latency(0)
    return Table(
        f"Messages delivered by one worker process, remote side answers after {LATENCY * 1000:.0f} ms",
        ("", "per second", "range", "of the bound"),
        [
            [f"bound: {threads} threads / {LATENCY} s", report.rate(bound), "", "1.00"],
            _row(SINGLE, series[SINGLE], bound),
        ],
    )


def _row(name: str, series: Series, whole: float) -> list[str]:
    return [
        name,
        report.rate(series.per_second),
        report.span(series.lowest, series.highest),
        report.ratio(series.per_second, whole),
    ]
