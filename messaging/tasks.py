"""Wake-ups of the worker. Losing one, or running it twice, changes nothing: all state is in rows."""

from concurrent.futures import Executor
from datetime import timedelta
from typing import Any

import structlog
from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings
from django.db import close_old_connections, reset_queries
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from messaging import announcer, delivery, figures, late_files, topics
from messaging.models import Delivery, WebhookEvent
from portals import gate, http

log = structlog.get_logger(__name__)

SWEEP_LIMIT = 2_000  # chats a run
GRACE = timedelta(seconds=3)  # what is due for less has just been announced
SHORT_WAIT = 30.0  # seconds; a longer wait is left to the sweep
PRUNE_BATCH = 5_000
ENDING_SECONDS = 20.0  # a worker that ends lets calls go on so long: most end in 15, Meta's in 30, files in 120


_threads: Executor | None = None
"""The worker's own pool, where it has threads."""


@shared_task
def drain_chat(*chat_ids: int) -> None:
    """Deliver what is due in some chats; each gets a thread of its own, for one that hangs delays no other."""
    if _threads is None or len(chat_ids) == 1:
        for chat_id in chat_ids:
            _drain(chat_id)
    else:
        for chat_id in chat_ids:
            _threads.submit(_drain_apart, chat_id)


def _drain(chat_id: int) -> None:
    """Deliver what is due in one chat; come back soon if more is due soon."""
    wait = delivery.drain(chat_id)
    if wait is not None and wait < SHORT_WAIT:
        announcer.announce(chat_id, delay=wait)


def _drain_apart(chat_id: int) -> None:
    """Drain a chat outside of a Celery task, which would log what it raises, and end as a request does."""
    try:
        _drain(chat_id)
    except Exception as exc:  # the sweep announces the chat again
        log.error("chat_not_drained", chat_id=chat_id, exc_info=exc)
    finally:
        reset_queries()  # which DEBUG collects
        close_old_connections()


@worker_ready.connect
def share_threads(*, sender: Any, **kwargs: Any) -> None:
    """Take the worker's threads for chats, and tell the gates how many there are to share."""
    global _threads
    _threads = getattr(sender.pool, "executor", None)
    gate.threads = sender.pool.limit


@worker_shutting_down.connect
def stop_draining(**kwargs: Any) -> None:
    """A worker that is asked to end finishes the calls under way, not its backlog nor a transfer of minutes."""
    delivery.stop()
    http.cut_off(after=ENDING_SECONDS)


@shared_task
def sweep() -> None:
    """Every few seconds: announce the chats whose turn has come and whose announcement, if any, was lost.

    While announcements wait for a worker, so may that of what nobody has touched since it came, until it expires.
    """
    lanes = Delivery.objects.heads().deliverable().due(GRACE)
    if announcer.backlog():
        expired = Q(available_at__lte=Now() - timedelta(seconds=announcer.EXPIRES_SECONDS))
        lanes = lanes.filter(expired | Q(available_at__gt=F("created_at")))
    announcer.publish(lanes.order_by("available_at").values_list("chat_id", flat=True)[:SWEEP_LIMIT])


@shared_task
def expire_held() -> None:
    """Every few minutes: fail operators' messages that waited too long for their line."""
    delivery.expire_held()


@shared_task
def fetch_late_files() -> None:
    """Every minute: try again for files whose texts went ahead of them."""
    late_files.fetch_due()


@shared_task
def confirm_subscriptions() -> None:
    """Every few seconds: visit the confirmation links of approved SNS topics."""
    topics.confirm_approved()


@shared_task
def count_hours() -> None:
    """Every minute: count what the hours brought whose figures are not final."""
    figures.count_due()


@shared_task
def prune_webhook_events() -> None:
    """Nightly: forget old webhook events, in batches."""
    old = WebhookEvent.objects.filter(
        received_at__lt=timezone.now() - timedelta(days=settings.WEBHOOK_EVENT_DAYS)
    ).order_by("received_at")
    while ids := list(old.values_list("pk", flat=True)[:PRUNE_BATCH]):
        WebhookEvent.objects.filter(pk__in=ids).delete()
