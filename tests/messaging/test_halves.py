"""Things that are done in two statements: if the second one fails, the first one has not happened."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import Error, connection
from django.utils import timezone

from messaging import late_files
from messaging.models import Attachment, Delivery, Message, WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def failing(operation: str, table: str) -> Iterator[None]:
    """Let every INSERT or UPDATE of a table fail."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''trap''; END'")
        cursor.execute(f"CREATE TRIGGER trap BEFORE {operation} ON {table} EXECUTE FUNCTION fail()")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER trap ON {table}")
            cursor.execute("DROP FUNCTION fail()")


@pytest.fixture
def message(toy, deliver):
    """A customer's message that Uspacy has without its files, `a` and `b`, whose time has come."""
    toy.files = {"a": b"picture", "b": b"notes"}
    toy.writes()
    deliver()
    message = Message.objects.get()
    for name in ("a", "b"):
        message.attachments.create(name=name, source={"name": name}, error="away", retry_at=timezone.now())
    return message


def test_a_late_file_and_the_message_that_brings_it_are_stored_together(message):
    with failing("INSERT", "messaging_delivery"), pytest.raises(Error):
        late_files.fetch_due()
    assert not Attachment.objects.exclude(retry_at__isnull=False, uspacy_file=None).exists()
    Attachment.objects.update(retry_at=timezone.now())  # the lease lapses
    late_files.fetch_due()
    assert not Attachment.objects.filter(retry_at__isnull=False).exists()
    assert Delivery.objects.open().filter(message=message, kind="edit").exists()


def test_a_late_file_that_we_fail_with_does_not_keep_the_others_waiting(message):
    first = message.attachments.get(name="a")
    Attachment.objects.filter(pk=first.pk).update(source={})
    late_files.fetch_due()
    assert message.attachments.get(name="b").uspacy_file
    first.refresh_from_db()
    assert first.retry_at > timezone.now()


def test_a_run_for_late_files_is_bounded(message, monkeypatch):
    monkeypatch.setattr(late_files, "RUN_SECONDS", -1.0)
    late_files.fetch_due()
    assert not message.attachments.exclude(uspacy_file=None).exists()


def test_an_event_that_we_fail_with_is_kept_as_failed_or_not_at_all(toy, deliver):
    with failing("INSERT", "messaging_webhookevent"):
        assert toy.call({"key": "no such event"}).status_code >= 500
    assert not WebhookEvent.objects.exists()
    assert toy.call({"key": "no such event"}).status_code == 202
    assert WebhookEvent.objects.get().outcome == "failed"
