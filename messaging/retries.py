"""What a failed attempt means for its delivery: whether another one is made, and when."""

import random
from datetime import timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from externallines.channels.base import AccountProblem, Blocked, Doubtful
from messaging import dead_ends, destinations
from messaging.models import Delivery
from portals.http import Busy, RemoteError
from portals.services import NeedsReinstall

log = structlog.get_logger(__name__)

FIRST_RETRY = 2.0  # seconds
_LONGEST_RETRY = 15 * 60.0
_BLOCK_DOUBT = 60.0  # seconds between the failures that may mean that the customer cannot be reached any more


def judge(delivery: Delivery, exc: Exception) -> Exception:
    """Return what a failure is to be taken for, after those before it, and count it with them."""
    if isinstance(exc, Busy):
        return exc  # nothing was tried
    kind = dead_ends.kind_of(exc)
    delivery.in_a_row = delivery.in_a_row + 1 if delivery.failure == kind else 1
    delivery.failure = kind
    if isinstance(exc, Doubtful) and delivery.in_a_row > exc.tolerated:
        return exc.final
    if isinstance(exc, destinations.Unheard):
        if delivery.ambiguous:  # a messenger without idempotency keys gets one repeat, no more
            return destinations.MayHaveArrived(f"It may or may not have arrived: {exc}", code=exc.code)
        delivery.ambiguous = True
    return exc


def is_final(exc: Exception) -> bool:
    """Whether another attempt would end the same; after a fault of ours it may not, as a new release mends it."""
    return isinstance(exc, RemoteError) and not exc.retryable


def may_go_on(delivery: Delivery, exc: Exception) -> bool:
    """Whether it has time for another attempt: what waits for a person has."""
    return _is_held(delivery, exc) or not has_expired(delivery)


def explain(exc: Exception) -> str:
    """Return what staff read of a failure; a fault of ours goes into the log."""
    if isinstance(exc, RemoteError):
        return str(exc)[:2000]
    log.error("delivery_fault", exc_info=exc)
    return "An internal error, which the logs explain."


def needs_owner(delivery: Delivery, exc: Exception) -> bool:
    """Whether the line's owner has to mend its account: the messenger has said so more often than by mistake."""
    return isinstance(exc, AccountProblem) and delivery.in_a_row > exc.tolerated


def _is_held(delivery: Delivery, exc: Exception) -> bool:
    """Whether the lane waits for a person: to mend the portal or, where it leads to the customer, the line."""
    return isinstance(exc, NeedsReinstall) or (needs_owner(delivery, exc) and not delivery.to_uspacy)


def delay(delivery: Delivery, exc: Exception) -> float:
    """Return the seconds until the next attempt: what the other side asks for, else exponential with jitter."""
    if isinstance(exc, Busy):
        return exc.retry_after or FIRST_RETRY
    if _is_held(delivery, exc):
        return 0.0  # it goes on the moment that is mended
    backoff = min(_LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(delivery.attempts - 1, 20))
    backoff *= random.uniform(0.8, 1.2)  # noqa: S311  no secret
    asked = exc.retry_after if isinstance(exc, RemoteError) else None
    if asked is None and isinstance(exc, Doubtful) and isinstance(exc.final, Blocked):
        asked = _BLOCK_DOUBT
    return max(backoff, asked or 0.0)


def has_expired(delivery: Delivery) -> bool:
    """Whether it has been tried for long enough."""
    return timezone.now() - delivery.triable_since > timedelta(hours=settings.DELIVERY_MAX_AGE_HOURS)


def expiry_note() -> str:
    """Return what staff read of a delivery that was tried, or held, for long enough."""
    return f"Given up after {settings.DELIVERY_MAX_AGE_HOURS} hours."
