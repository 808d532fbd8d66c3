"""What Prometheus scrapes are figures of the database, the same from every process."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from externallines.models import ExternalLine
from messaging.models import Chat, Delivery, Message, SnsTopic
from portals.models import Portal

pytestmark = pytest.mark.django_db


def scrape(client: Client) -> dict[str, dict[str, float]]:
    """Return every metric by its name, with its values by their only label."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    return {
        family.name: {" ".join(sample.labels.values()): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(response.content.decode())
    }


@pytest.fixture
def line() -> ExternalLine:
    return add_line(Portal.objects.create(domain="acme.uspacy.ua"))


def add_line(portal: Portal, status: str = "active") -> ExternalLine:
    return ExternalLine.objects.create(
        portal=portal,
        channel="webhook",
        name="Shop",
        external_id=str(uuid.uuid4()),
        uspacy_id=uuid.uuid4().hex,
        status=status,
    )


def add_delivery(line: ExternalLine, destination: str, *, age: float, status: str = "open") -> None:
    key = uuid.uuid4()
    chat = Chat.objects.create(line=line, external_id=str(key), uspacy_id=key)
    message = Message.objects.create(chat=chat, uspacy_id=key, direction="in")
    Delivery.objects.create(
        chat=chat,
        message=message,
        destination=destination,
        status=status,
        created_at=timezone.now() - timedelta(seconds=age),
    )


def test_an_empty_installation_has_every_metric_and_no_figure(client: Client) -> None:
    assert scrape(client) == {
        "uspacy_portals": {},
        "uspacy_lines": {},
        "uspacy_sns_topics": {},
        "uspacy_deliveries_waiting": {},
        "uspacy_delivery_oldest_seconds": {},
    }


def test_portals_lines_and_topics_are_counted_by_status(client: Client) -> None:
    for number, status in enumerate(["active", "active", "needs_reinstall", "uninstalled"]):
        portal = Portal.objects.create(domain=f"p{number}.uspacy.ua", status=status)
    for status in ("active", "error", "error", "connecting", "disabled"):
        add_line(portal, status)
    SnsTopic.objects.create(arn="arn:1")
    metrics = scrape(client)
    assert metrics["uspacy_portals"] == {"active": 2, "needs_reinstall": 1, "uninstalled": 1}
    assert metrics["uspacy_lines"] == {"active": 1, "error": 2, "connecting": 1, "disabled": 1}
    assert metrics["uspacy_sns_topics"] == {"pending": 1}


def test_open_deliveries_are_counted_and_the_oldest_has_an_age(client: Client, line: ExternalLine) -> None:
    add_delivery(line, "uspacy", age=30)
    add_delivery(line, "uspacy", age=300)
    add_delivery(line, "customer", age=5)
    for status in ("sent", "failed"):
        add_delivery(line, "customer", age=9_000, status=status)
    metrics = scrape(client)
    assert metrics["uspacy_deliveries_waiting"] == {"uspacy": 2, "customer": 1}
    assert metrics["uspacy_delivery_oldest_seconds"]["uspacy"] == pytest.approx(300, abs=20)
    assert metrics["uspacy_delivery_oldest_seconds"]["customer"] == pytest.approx(5, abs=20)


def test_a_delivery_that_waits_for_a_person_raises_no_alarm(client: Client, line: ExternalLine) -> None:
    add_delivery(line, "uspacy", age=9_000)
    Portal.objects.update(status="needs_reinstall")
    assert scrape(client)["uspacy_deliveries_waiting"] == {}


def test_a_scrape_needs_the_same_few_queries_whatever_there_is(client: Client, line: ExternalLine) -> None:
    counts = []
    for _round in range(2):
        with CaptureQueriesContext(connection) as queries:
            scrape(client)
        counts.append(len(queries))
        for _number in range(5):
            add_delivery(add_line(line.portal), "uspacy", age=1)
    assert counts == [5, 5]


def test_a_scrape_names_no_portal_and_no_customer(client: Client, line: ExternalLine) -> None:
    add_delivery(line, "uspacy", age=1)
    text = client.get("/metrics").content.decode()
    assert line.portal.domain not in text
    assert line.external_id not in text
