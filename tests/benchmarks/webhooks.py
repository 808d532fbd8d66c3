"""How many webhooks a second are accepted, beside a view that does one INSERT and a view that does nothing."""

import itertools
import uuid
from collections.abc import Callable, Iterator

from tests.benchmarks import load, report
from tests.benchmarks.measure import Round, Series, interleaved
from tests.benchmarks.product import CUSTOMERS, PORTALS, Webhook
from tests.benchmarks.report import Table, progress

SECONDS = 5.0
WARM_UP_SECONDS = 2.0
FIRST_GUESS = 500.0  # webhooks per second, to sign enough of them for the warm-up
SPARE = 1.5  # later ones are signed ahead for a rate so much higher than in the warm-up
BODIES = 200  # different ones for the references

BARE = "bare Django view"
INSERT = "one INSERT ... ON CONFLICT"


class Views:
    """A view of the product and the two of the reference, which all get the same calls."""

    def __init__(self, calls: Iterator[Webhook], *, status: int, port: int, reference_port: int) -> None:
        self._calls = calls
        self._status = status
        self._port = port
        self._reference_port = reference_port
        self._bodies = itertools.cycle(list(itertools.islice(calls, BODIES)))
        self._expected_rate = FIRST_GUESS
        self._expected_rate = self.product(WARM_UP_SECONDS).per_second
        self.bare(WARM_UP_SECONDS)
        self.insert(WARM_UP_SECONDS)

    def product(self, seconds: float = SECONDS) -> Round:
        count = int(self._expected_rate * seconds * SPARE)
        signed = [call.encoded() for call in itertools.islice(self._calls, count)]
        return load.run(self._port, signed, seconds=seconds, expected=self._status)

    def bare(self, seconds: float = SECONDS) -> Round:
        return self._reference(lambda: "/bare", seconds)

    def insert(self, seconds: float = SECONDS) -> Round:
        return self._reference(lambda: f"/insert/{uuid.uuid4().hex}", seconds)

    def _reference(self, path: Callable[[], str], seconds: float) -> Round:
        requests = (call.encoded(path()) for call in self._bodies)
        return load.run(self._reference_port, requests, seconds=seconds, expected=200)


def measure(
    title: str, calls: Iterator[Webhook], *, status: int, port: int, reference_port: int, rounds: int
) -> Table:
    """Compare the views of the web servers at the two ports; the product answers `status`."""
    progress(f"{title}: warm-up")
    views = Views(calls, status=status, port=port, reference_port=reference_port)
    variants = {BARE: views.bare, INSERT: views.insert, "the product": views.product}
    series = interleaved(title, variants, rounds)
    return Table(
        f"{title} accepted, {load.CONNECTIONS} connections, {PORTALS * CUSTOMERS:,} chats",
        ("", "per second", "range", "p50 ms", "p99 ms", "of bare", "of one INSERT"),
        [_row(name, one, series[BARE], series[INSERT]) for name, one in series.items()],
    )


def _row(name: str, series: Series, bare: Series, insert: Series) -> list[str]:
    return [
        name,
        report.rate(series.per_second),
        report.span(series.lowest, series.highest),
        report.milliseconds(series.percentile(50)),
        report.milliseconds(series.percentile(99)),
        report.ratio(series.per_second, bare.per_second),
        report.ratio(series.per_second, insert.per_second) if series is not bare else "",
    ]
