"""Old webhook events are forgotten, in batches, and only they."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from externallines.models import ExternalLine
from messaging import statements, tasks
from messaging.models import Chat, Message, WebhookEvent
from portals.models import Portal

pytestmark = pytest.mark.django_db

OUTCOMES = WebhookEvent.Outcome.values


def store(count, age):
    """Store events that came so long ago."""
    moment = timezone.now() - age
    WebhookEvent.objects.bulk_create(
        WebhookEvent(
            source="uspacy",
            key=f"{age} {number}",
            payload="{}",
            received_at=moment,
            outcome=OUTCOMES[number % len(OUTCOMES)],
        )
        for number in range(count)
    )


def prune():
    """Prune, and return how many rows each statement was to delete."""
    with CaptureQueriesContext(connection) as captured:
        tasks.prune_webhook_events()
    deletions = [query["sql"] for query in captured if query["sql"].startswith("DELETE")]
    return [len(re.findall(r"\d+", sql.partition(" IN (")[2])) for sql in deletions]


def test_events_are_kept_for_a_fortnight_whatever_became_of_them():
    store(6, timedelta(days=15))
    store(6, timedelta(days=14, minutes=1))
    store(6, timedelta(days=13, hours=23))
    store(6, timedelta(0))
    prune()
    ages = {event.key.rpartition(" ")[0] for event in WebhookEvent.objects.all()}
    assert ages == {str(timedelta(days=13, hours=23)), str(timedelta(0))}
    assert WebhookEvent.objects.count() == 12


def test_how_long_is_a_setting(settings):
    settings.WEBHOOK_EVENT_DAYS = 3
    store(3, timedelta(days=4))
    store(3, timedelta(days=2))
    prune()
    assert WebhookEvent.objects.count() == 3


def test_a_statement_deletes_a_batch_at_most(monkeypatch):
    monkeypatch.setattr(tasks, "PRUNE_BATCH", 10)
    store(25, timedelta(days=20))
    store(5, timedelta(days=1))
    assert prune() == [10, 10, 5]
    assert WebhookEvent.objects.count() == 5
    assert tasks.PRUNE_BATCH < 20_000


def test_a_real_batch_is_deleted_without_being_loaded():
    store(tasks.PRUNE_BATCH + 1, timedelta(days=20))
    with CaptureQueriesContext(connection) as captured:
        tasks.prune_webhook_events()
    assert not WebhookEvent.objects.exists()
    assert not any("payload" in query["sql"] for query in captured)


def test_nothing_to_prune_costs_one_query(django_assert_num_queries):
    store(5, timedelta(days=1))
    with django_assert_num_queries(1):
        tasks.prune_webhook_events()


def test_the_oldest_are_found_by_an_index():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT id FROM messaging_webhookevent"
            " WHERE received_at < now() ORDER BY received_at LIMIT 5000"
        )
        assert "event_received" in "\n".join(row[0] for row in cursor.fetchall())


def test_messages_are_never_pruned():
    line = ExternalLine.objects.create(
        portal=Portal.objects.create(domain="acme.uspacy.ua"), channel="webhook", name="Shop", external_id="shop"
    )
    chat = Chat.objects.create(line=line, external_id="ann", uspacy_id="5c1e8d7b-4a39-4c26-8f15-6b0a9d8e7f3c")
    old = timezone.now() - timedelta(days=400)
    Message.objects.create(chat=chat, uspacy_id=chat.uspacy_id, direction="in", created_at=old, sent_at=old)
    prune()
    assert Message.objects.count() == 1


def test_an_event_that_was_pruned_may_come_again():
    store(1, timedelta(days=15))
    [event] = WebhookEvent.objects.all()
    again = WebhookEvent(source="uspacy", key=event.key, payload="{}")
    assert not statements.store_event(again)
    prune()
    assert statements.store_event(again)
