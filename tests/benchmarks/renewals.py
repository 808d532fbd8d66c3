"""How many portals a second one worker process renews the tokens of, beside what its threads allow."""

import math
import time
from datetime import timedelta

from django.utils import timezone

from portals.models import Portal
from portals.tasks import announce
from tests.benchmarks import report
from tests.benchmarks.report import Table, progress
from tests.benchmarks.sink import Sink

WARM_UP_PORTALS = 200
LATENCY = 0.1  # seconds
TIMEOUT = 600.0


def measure(sink: Sink, threads: int, portals: int) -> Table:
    """Renew once, as that takes long enough; without the countdown by which the nightly run spreads its calls."""
    bound = threads / LATENCY
    sink.set_latency(LATENCY)
    _renew(sink, WARM_UP_PORTALS)
    rate = _renew(sink, portals)
    sink.set_latency(0)
    return Table(
        f"Tokens renewed by one worker process, {portals:,} portals, Uspacy answers after {LATENCY * 1000:.0f} ms",
        ("", "per second", "of the bound"),
        [
            [f"bound: {threads} threads / {LATENCY} s", report.rate(bound), "1.00"],
            ["worker", report.rate(rate), report.ratio(rate, bound)],
        ],
    )


def _renew(sink: Sink, count: int) -> float:
    """Have the tokens of so many portals renewed; return how many a second."""
    progress(f"renewals: {count:,} portals")
    soon = timezone.now() + timedelta(hours=1)
    portals = Portal.objects.bulk_create(
        Portal(
            domain=f"renew{number}.uspacy.ua",
            token="old" * 100,
            refresh_token="old" * 100,
            expires_at=soon,
            refresh_expires_at=soon,
        )
        for number in range(count)
    )
    sink.taken()
    started = time.monotonic()
    announce([portal.pk for portal in portals], per_second=math.inf)
    arrivals = sink.wait(count, TIMEOUT, lambda arrival: arrival.path.endswith("/refresh_token"))
    until = time.monotonic() + TIMEOUT
    renewing = Portal.objects.filter(domain__startswith="renew", expires_at=soon)
    while renewing.exists() and time.monotonic() < until:
        time.sleep(0.1)
    Portal.objects.filter(domain__startswith="renew").delete()
    return count / (arrivals[-1].at - started)
