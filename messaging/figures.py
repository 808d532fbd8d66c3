"""What each hour brought: beat counts it into a small table, so that no page counts millions of messages.

Counting an hour again gives the same, so it does no harm that two do it at a time.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Count, F, FloatField, Max, Min, Value
from django.db.models.functions import Cast, Ceil, Extract, Greatest, Ln
from django.utils import timezone

from messaging.models import Delivery, HourlyFigures, Message

HOUR = timedelta(hours=1)
WEEK = 7 * 24  # hours; those missed by a beat that stood still are counted so far back
KEPT = timedelta(days=90)
# An hour is final when it was counted so long after its end: clocks differ, and transactions take time.
LATE = timedelta(minutes=10)

# Times of delivery are counted by steps, each a tenth longer than the one before: such counts can be added up.
SHORTEST = 0.01  # seconds
STEP = 1.1

DIRECTIONS = {  # what goes to Uspacy comes in, whoever wrote it
    Delivery.Destination.USPACY.value: Message.Direction.INBOUND,
    Delivery.Destination.CUSTOMER.value: Message.Direction.OUTBOUND,
}


def last_hours(count: int) -> list[datetime]:
    """Return the beginnings of the last hours, the newest of which is not over yet, in their order."""
    current = timezone.now().replace(minute=0, second=0, microsecond=0)
    return [current - ago * HOUR for ago in reversed(range(count))]


def count_due() -> None:
    """Count the hours of the last week that have no final figures, the newest first; forget very old figures."""
    hours = last_hours(WEEK)
    final = HourlyFigures.objects.filter(hour__gte=hours[0], counted_at__gte=F("hour") + HOUR + LATE)
    counted = set(final.values_list("hour", flat=True))
    for hour in reversed(hours):
        if hour not in counted:
            count(hour)
    HourlyFigures.objects.filter(hour__lt=timezone.now() - KEPT).delete()


def count(hour: datetime) -> None:
    """Store the figures of one hour, in place of those that it may have."""
    counted_at = timezone.now()
    times = _times(hour)
    messages = {
        direction: (number, first, last)
        for direction, number, first, last in Message.objects.filter(
            created_at__gte=hour, created_at__lt=hour + HOUR
        )
        .order_by()
        .values_list("direction")
        .annotate(Count("pk"), Min("pk"), Max("pk"))
    }
    rows = []
    for direction in Message.Direction:
        number, first, last = messages.get(direction, (0, None, None))
        rows.append(
            HourlyFigures(
                hour=hour,
                direction=direction,
                messages=number,
                first_id=first,
                last_id=last,
                times=times[direction],
                counted_at=counted_at,
            )
        )
    HourlyFigures.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["hour", "direction"],
        update_fields=["messages", "first_id", "last_id", "times", "counted_at"],
    )


def within(share: float, figures: Iterable[HourlyFigures]) -> float | None:
    """Return the seconds within which such a share of the messages was delivered, None if there were none."""
    counts: dict[int, int] = defaultdict(int)
    for row in figures:
        for step, number in row.times.items():
            counts[int(step)] += number
    left = share * sum(counts.values())
    for step in sorted(counts):
        left -= counts[step]
        if left <= 0:
            return SHORTEST * STEP**step
    return None


def _times(hour: datetime) -> dict[str, dict[int, int]]:
    """Return how many messages were delivered in an hour, by direction and the step of their time."""
    took = Extract(F("settled_at") - F("created_at"), "epoch")
    # Not less than the shortest: two clocks may have it that a delivery ended before it began.
    steps = Ln(Greatest(Cast(took, FloatField()), Value(SHORTEST)) / Value(SHORTEST)) / Value(math.log(STEP))
    delivered = Delivery.objects.filter(
        status=Delivery.Status.SENT,
        kind=Delivery.Kind.MESSAGE,
        settled_at__gte=hour,
        settled_at__lt=hour + HOUR,
    )
    times: dict[str, dict[int, int]] = {direction: {} for direction in Message.Direction}
    counts = delivered.order_by().annotate(step=Ceil(steps)).values_list("destination", "step")
    for destination, step, number in counts.annotate(Count("pk")):
        times[DIRECTIONS[destination]][int(step)] = number
    return times
