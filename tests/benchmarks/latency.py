"""How long an accepted message takes to the other side while there is little to do."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection

from tests.benchmarks import loop, report
from tests.benchmarks.measure import Round, Series, interleaved, percentile
from tests.benchmarks.product import Webhook
from tests.benchmarks.report import Table
from tests.benchmarks.sink import Sink

PER_SECOND = 20
SECONDS = 2.0
TIMEOUT = 30.0


def send(webhooks: Iterator[Webhook], port: int, sink: Sink) -> Round:
    """Send webhooks at an even pace; the round's seconds are from each answer to the arrival at the other side."""
    batch = list(itertools.islice(webhooks, int(PER_SECOND * SECONDS)))
    accepted: dict[str, float] = {}
    sink.taken()
    app = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    started = time.monotonic()
    for number, webhook in enumerate(batch):
        time.sleep(max(0.0, started + number / PER_SECOND - time.monotonic()))
        app.request("POST", webhook.path, webhook.body, webhook.headers)
        answer = app.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{webhook.path} answered {answer.status}: {text[:500]!r}")
        accepted[webhook.id] = time.monotonic()
    app.close()
    arrivals = sink.wait_for_messages(len(batch), TIMEOUT)
    took = [arrival.at - at for arrival in arrivals for id, at in accepted.items() if id in arrival.body]
    if len(took) != len(batch):
        raise RuntimeError(f"{len(took)} of {len(batch)} messages arrived as they were sent")
    return Round(PER_SECOND, took)


def measure(variants: Mapping[str, Callable[[], Round]], rounds: int) -> Table:
    """Compare `variants`, of which the loop is one."""
    series = interleaved("latency", variants, rounds)
    return Table(
        f"From accepted to arrived at {PER_SECOND} messages per second, remote side answers at once",
        ("", "p50 ms", "p95 ms", "longest ms", "p50 to the loop's"),
        [_row(name, one, series[loop.NAME]) for name, one in series.items()],
    )


def _row(name: str, series: Series, floor: Series) -> list[str]:
    seconds = _all(series)
    return [
        name,
        report.milliseconds(percentile(seconds, 50)),
        report.milliseconds(percentile(seconds, 95)),
        report.milliseconds(max(seconds)),
        report.ratio(percentile(seconds, 50), percentile(_all(floor), 50)),
    ]


def _all(series: Series) -> list[float]:
    """The messages of all rounds: those of one are too few for a percentile."""
    return [seconds for one in series.rounds for seconds in one.seconds]
