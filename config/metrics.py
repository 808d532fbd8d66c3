"""What Prometheus scrapes: figures of the database, so that every process answers the same."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from externallines.models import ExternalLine
from messaging.models import Delivery, SnsTopic
from portals.models import Portal


class Bridge(Collector):
    """Portals, lines and the outbox."""

    def collect(self) -> Iterable[Metric]:
        yield _by("uspacy_portals", "Portals by status.", Portal.objects.values_list("status"), "status")
        yield _by("uspacy_lines", "Lines by status.", ExternalLine.objects.values_list("status"), "status")
        topics = SnsTopic.objects.values_list("status")
        yield _by("uspacy_sns_topics", "SNS topics by status.", topics, "status")
        waiting = Delivery.objects.open().deliverable()  # the others wait for a person: see lines and portals
        yield _by(
            "uspacy_deliveries_waiting", "Open deliveries.", waiting.values_list("destination"), "destination"
        )
        oldest = GaugeMetricFamily(
            "uspacy_delivery_oldest_seconds", "Age of the oldest open delivery.", labels=["destination"]
        )
        now = timezone.now()
        for destination, created_at in waiting.values_list("destination").annotate(Min("created_at")):
            oldest.add_metric([destination], (now - created_at).total_seconds())
        yield oldest


def _by(name: str, text: str, rows: QuerySet[Any, tuple[str]], label: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in rows.order_by().annotate(Count("pk")):
        family.add_metric([value], count)
    return family


def metrics(request: HttpRequest) -> HttpResponse:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Bridge())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
