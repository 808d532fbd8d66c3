"""The lane engine: claim, attempt, settle; `retries` says what a failure means.

It knows rows and errors, no Celery and no wire format: `destinations` makes the calls. Nothing is locked
during a call; a worker that dies leaves a lease that lapses, and its late return settles nothing.
"""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, transaction
from django.db.models.functions import Now
from django.utils import timezone

from externallines.channels.base import AccountThrottled, Blocked, Receipt
from externallines.services import report_problem
from messaging import (
    courtesies,
    dead_ends,
    destinations,
    failures,
    inbox,
    pacing,
    receipts,
    retries,
    services,
    statements,
)
from messaging.models import Chat, Delivery, DeliveryQuerySet
from portals.gate import gate_for
from portals.http import Busy, Refused, Unreachable
from portals.models import Portal

log = structlog.get_logger(__name__)
T = TypeVar("T")

LEASE = timedelta(seconds=180)  # of a claim; longer than an attempt without files
STEP_LEASE = timedelta(seconds=600)  # of a step of a long attempt: a file is fetched and sent, each maybe twice
FRESH_SECONDS = 10.0  # after a claim, in which nobody else can have it
RUN_SECONDS = 20.0  # then the next chat gets the thread
EXPIRED_AT_ONCE = 500
SETTLE_SECONDS = 600.0  # how long a result waits for a database that is away

_stopping = threading.Event()


class HeldTooLong(Refused):
    """An answer that waited for its line until it was stale."""


class ClaimLost(Exception):
    """Another worker has taken the delivery over, because our lease lapsed."""


def stop() -> None:
    """Start no further attempt, and no further step of one, in this process: it ends, other workers go on."""
    _stopping.set()


def drain(chat_id: int) -> float | None:
    """Deliver what is due in one chat; return the seconds until more is due, None if nothing will be."""
    until = time.monotonic() + RUN_SECONDS
    while time.monotonic() < until and not _stopping.is_set():
        heads = _heads(chat_id)
        attempted = [_attempt(head) for head in heads if head.due_in <= timedelta(0) and not _stopping.is_set()]
        if not any(attempted):
            waits = [head.due_in.total_seconds() for head in heads if head.due_in > timedelta(0)]
            return min(waits, default=None)
        if any(head.is_last for head in heads):
            return None  # what has come since is announced, and what is lost of that is the sweep's
    return 0.0


def _heads(chat_id: int) -> list[Delivery]:
    """Return the heads of the lanes that wait for no person, Uspacy's first, with `due_in`."""
    return [head for head in statements.heads(chat_id) if not head.waits_for]


def _attempt(delivery: Delivery) -> bool:
    """Make one attempt if the remote takes calls and no one else is at it; False if nothing was done."""
    try:
        gate = gate_for(destinations.remote(delivery))
    except Exception as exc:  # a channel that is gone, credentials of another shape: a fault of ours
        return _claim(delivery) and bool(_settle_surely(partial(_settle_failure, delivery, exc)))
    if delay := receipts.held_for(delivery) or gate.delay() or pacing.delay(delivery):
        return _postpone(delivery, delay, gave_up=gate.is_unwell and retries.has_expired(delivery))
    if not _claim(delivery):
        return False
    started = time.monotonic()
    try:
        receipt = destinations.perform(
            delivery, still_ours=partial(_keep, delivery, started), record=partial(_record_part, delivery)
        )
    except ClaimLost:
        outcome = "lost"
    except Exception as exc:  # the one place that catches what an attempt raises
        if isinstance(exc, AccountThrottled):
            pacing.pause(delivery, exc.retry_after or retries.FIRST_RETRY)
        outcome = _settle_surely(partial(_settle_failure, delivery, retries.judge(delivery, exc)))
    else:
        outcome = _settle_surely(partial(_settle_success, delivery, receipt))
        if receipt is not None:
            for part_id in (*delivery.message.earlier_ids, receipt.external_id):
                inbox.reprocess_awaiting(str(delivery.chat.line.key), part_id)
        elif outcome == "sent":
            courtesies.thank(delivery)
    log.info(
        "delivery_attempted",
        delivery_id=delivery.pk,
        message_id=delivery.message_id,
        to=delivery.destination,
        kind=delivery.kind,
        attempt=delivery.attempts,
        outcome=outcome,
        error=delivery.error,
        seconds=round(time.monotonic() - started, 3),
    )
    return True


def _claim(delivery: Delivery) -> bool:
    """Take the delivery for the length of a lease, unless another worker was faster."""
    claimed = statements.claim(delivery, LEASE)
    delivery.attempts += 1
    return claimed


def _keep(delivery: Delivery, claimed_at: float) -> None:
    """Renew the lease, unless the attempt has only begun and takes no long steps. Raises ClaimLost."""
    if delivery.has_files or time.monotonic() - claimed_at > FRESH_SECONDS:
        _extend(delivery)


def _extend(delivery: Delivery) -> None:
    """Renew the lease before a further step. Raises ClaimLost, and Busy if this process is ending."""
    _heed_stop()
    _renew(delivery)


def _heed_stop() -> None:
    """Raise Busy if this process is ending."""
    if _stopping.is_set():
        raise Busy("The worker is ending; another one begins again.")


def _renew(delivery: Delivery, **news: bool) -> None:
    """Renew the lease in the middle of an attempt, and store what is new of it. Raises ClaimLost."""
    if not _ours(delivery).update(available_at=Now() + STEP_LEASE, **news):
        raise ClaimLost


def _ours(delivery: Delivery) -> DeliveryQuerySet:
    """The delivery's row as long as our claim holds: the fence against a worker that comes back late."""
    return Delivery.objects.open().filter(pk=delivery.pk, attempts=delivery.attempts)


def _postpone(delivery: Delivery, delay: float, *, gave_up: bool) -> bool:
    """Come back when the gate has a place, without an attempt; or fail it, where that took too long."""
    if gave_up:
        if not _claim(delivery):
            return False
        reason = Unreachable(delivery.error or "The other side could not be reached.")
        _settle_surely(partial(_settle_failure, delivery, reason))
        return True
    return bool(_ours(delivery).due().update(available_at=Now() + timedelta(seconds=delay), in_hand=False))


def _record_part(delivery: Delivery, part_id: str) -> None:
    """Remember what the messenger took of a message so far, even if this process is ending.

    Raises ClaimLost, and only then Busy.
    """
    keep = partial(_renew, delivery, ambiguous=False)  # the doubt was about this part
    _settle_surely(partial(receipts.record_part, delivery, part_id, still_ours=keep))
    delivery.ambiguous = False
    _heed_stop()


def _settle_surely(settle: Callable[[], T]) -> T:
    """Record a result, outliving a restart of the database: a result that is lost would be sent again."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            return settle()
        except (OperationalError, InterfaceError):
            if time.monotonic() > until:
                raise
            close_old_connections()
            time.sleep(0.5)


def _settle_success(delivery: Delivery, receipt: Receipt | None) -> str:
    if receipt is not None:
        settled = _settle_taken(delivery, receipt)
    elif delivery.kind == Delivery.Kind.MESSAGE:
        settled = statements.settle_brought(delivery)
    else:
        settled = statements.settle_sent(delivery)
    if settled:
        delivery.error = ""
    return "sent" if settled else "lost"


@transaction.atomic
def _settle_taken(delivery: Delivery, receipt: Receipt) -> bool:
    """Settle a message that a messenger took: it has a new id, and its operator is told."""
    services.lock(delivery.chat_id)
    if not statements.settle_sent(delivery):
        return False
    receipts.record_receipt(delivery.message, receipt)
    delivery.is_last = False  # its status follows
    return True


@transaction.atomic
def _settle_failure(delivery: Delivery, exc: Exception) -> str:
    services.lock(delivery.chat_id)
    delivery.error = retries.explain(exc)
    if retries.needs_owner(delivery, exc):
        report_problem(delivery.chat.line, delivery.error)
    final = retries.is_final(exc)
    if not final and retries.may_go_on(delivery, exc):
        delay = retries.delay(delivery, exc)
        kept = _ours(delivery).update(
            available_at=Now() + timedelta(seconds=delay),
            error=delivery.error,
            failure=delivery.failure,
            in_a_row=delivery.in_a_row,
            ambiguous=delivery.ambiguous,
            in_hand=False,
        )
        return "waiting" if kept else "lost"
    if not final:
        delivery.error = f"{delivery.error} {retries.expiry_note()}"
    delivery.failure = dead_ends.kind_of(exc)
    if not failures.settle(_ours(delivery), delivery):
        return "lost"
    if isinstance(exc, Blocked):
        Chat.objects.filter(pk=delivery.chat_id).update(blocked=True)
    failures.tell(delivery, delivery.error)
    return "failed"


def release(deliveries: DeliveryQuerySet) -> None:
    """Try now what would wait long for its next attempt: somebody says that the other side is well again.

    What waits no longer than the longest lease may be in a worker's hands, and stays as it is.
    """
    deliveries.waiting().filter(available_at__gt=Now() + STEP_LEASE).update(available_at=Now())


def expire_held() -> int:
    """Fail operators' messages that waited too long for their line to be mended; return how many.

    An answer goes stale, and its operator has to know. A customer's message waits for its portal for ever, and
    so does an answer whose line comes back with its portal.
    """
    until, expired = time.monotonic() + RUN_SECONDS, 0
    while time.monotonic() < until and (count := _expire_held_heads()):
        expired += count  # whereupon others are the heads of their lanes
    return expired


def _expire_held_heads() -> int:
    deadline = timezone.now() - timedelta(hours=settings.DELIVERY_MAX_AGE_HOURS)
    held = (
        Delivery.objects.heads()
        .filter(
            destination=Delivery.Destination.CUSTOMER,
            created_at__lt=deadline,
            chat__line__suspended=False,
            chat__line__portal__status=Portal.Status.ACTIVE,
            chat__line__portal__installed_at__lt=deadline,
        )
        .due()
        .exclude(chat__line__activated_at__gte=deadline)
        .exclude(pk__in=Delivery.objects.open().deliverable())
        .select_related("message", "chat__line__portal")[:EXPIRED_AT_ONCE]
    )
    claimed = [delivery for delivery in held if _claim(delivery)]
    for delivery in claimed:
        _settle_failure(delivery, HeldTooLong(f"{delivery.waits_for} {retries.expiry_note()}"))
    return len(claimed)
