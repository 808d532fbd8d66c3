"""What went through in the last day and week, as columns to draw and to read out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.utils.translation import gettext as _

from console.counts import list_url, number
from console.formats import duration
from messaging import figures
from messaging.models import HourlyFigures, Message

IN, OUT = Message.Direction.INBOUND, Message.Direction.OUTBOUND
GRID = (0.1, 1.0, 10.0, 60.0, 600.0, 3600.0)  # seconds that the chart of times may have a line for


@dataclass(frozen=True)
class Column:
    """What some hours on end brought."""

    hours: Sequence[datetime]
    rows: Sequence[HourlyFigures]

    @property
    def start(self) -> datetime:
        return self.hours[0]

    @property
    def inbound(self) -> int:
        return self._messages(IN)

    @property
    def outbound(self) -> int:
        return self._messages(OUT)

    @property
    def inbound_text(self) -> str:
        return number(self.inbound)

    @property
    def outbound_text(self) -> str:
        return number(self.outbound)

    @cached_property
    def half(self) -> float | None:
        """The seconds within which half of the messages arrived."""
        return figures.within(0.5, self.rows)

    @cached_property
    def most(self) -> float | None:
        """The seconds within which 95 of 100 messages arrived."""
        return figures.within(0.95, self.rows)

    @property
    def text(self) -> str:
        if not self.rows:
            return _("not counted")
        told = {"inbound": self.inbound_text, "outbound": self.outbound_text}
        return _("%(inbound)s from customers, %(outbound)s from operators") % told

    @property
    def half_text(self) -> str:
        return duration(self.half)

    @property
    def most_text(self) -> str:
        return duration(self.most)

    @property
    def url(self) -> str:
        """The list of its messages, up to the last one that was counted."""
        last = {"id__lte": max(row.last_id or 0 for row in self.rows)} if self.rows else {}
        return self._list_url(created_at__gte=self.start, created_at__lt=self.hours[-1] + figures.HOUR, **last)

    @property
    def inbound_url(self) -> str:
        """The list of messages from customers since its start."""
        return self.towards(IN)._list_url(direction__exact=IN.value, created_at__gte=self.start)

    @property
    def outbound_url(self) -> str:
        return self.towards(OUT)._list_url(direction__exact=OUT.value, created_at__gte=self.start)

    @cached_property
    def to_uspacy(self) -> "Column":
        return self.towards(IN)

    @cached_property
    def to_customer(self) -> "Column":
        return self.towards(OUT)

    def towards(self, direction: str) -> "Column":
        return Column(self.hours, [row for row in self.rows if row.direction == direction])

    def _messages(self, direction: str) -> int:
        return sum(row.messages for row in self.rows if row.direction == direction)

    def _list_url(self, **filters: Any) -> str:
        """Narrow the list by ids as well: PostgreSQL jumps to them, however long ago it was."""
        first = min((row.first_id for row in self.rows if row.first_id), default=None)
        return list_url(Message, **({"id__gte": first} if first else {}), **filters)


@dataclass(frozen=True)
class Traffic:
    """The last day and the last week."""

    day: Column
    week: Column
    hours_of_day: Sequence[Column]
    hours_of_week: Sequence[Column]
    days: Sequence[Column]  # of the week, by UTC; the first and the last are not whole
    counted_at: datetime | None  # the age of the newest figures

    @cached_property
    def top_of_day(self) -> int:
        return top(self.hours_of_day)

    @cached_property
    def top_of_week(self) -> int:
        return top(self.hours_of_week)

    @property
    def inbound_of_week(self) -> str:
        return self._area([hour.inbound for hour in self.hours_of_week])

    @property
    def all_of_week(self) -> str:
        return self._area([hour.inbound + hour.outbound for hour in self.hours_of_week])

    @property
    def times(self) -> list[dict[str, Any]]:
        """The hours of the day with the heights of their delivery times, in percent."""
        return [
            {"hour": hour, "half": self._height(hour.half), "most": self._height(hour.most)}
            for hour in self.hours_of_day
        ]

    @property
    def grid(self) -> list[dict[str, Any]]:
        """Lines across the chart of delivery times."""
        return [
            {"text": duration(seconds), "height": self._height(seconds)}
            for seconds in GRID
            if seconds <= self._longest
        ]

    def _area(self, counts: Sequence[int]) -> str:
        """Return the path of steps as high as these numbers: many hours are one element of the page."""
        steps = "".join(f"V{self.top_of_week - count}H{place}" for place, count in enumerate(counts, start=1))
        return f"M0 {self.top_of_week}{steps}V{self.top_of_week}Z"

    @cached_property
    def _longest(self) -> float:
        return max([10.0, *(hour.most for hour in self.hours_of_day if hour.most)])

    def _height(self, seconds: float | None) -> int | None:
        """Place a time by its logarithm: seconds and hours have to be told apart in one chart."""
        if seconds is None:
            return None
        return round(100 * math.log(seconds / figures.SHORTEST) / math.log(self._longest / figures.SHORTEST))


def traffic() -> Traffic:
    """Read the figures of a week, some hundred rows."""
    hours = figures.last_hours(figures.WEEK)
    rows: dict[datetime, list[HourlyFigures]] = {hour: [] for hour in hours}
    for row in HourlyFigures.objects.filter(hour__gte=hours[0], hour__lte=hours[-1]):
        rows[row.hour].append(row)

    def column(hours: Sequence[datetime]) -> Column:
        return Column(hours, [row for hour in hours for row in rows[hour]])

    hours_of_week = [column([hour]) for hour in hours]
    days = [[hour for hour in hours if hour.date() == day] for day in sorted({hour.date() for hour in hours})]
    return Traffic(
        day=column(hours[-24:]),
        week=column(hours),
        hours_of_day=hours_of_week[-24:],
        hours_of_week=hours_of_week,
        days=[column(day) for day in days],
        counted_at=max((row.counted_at for hour in hours for row in rows[hour]), default=None),
    )


def top(columns: Sequence[Column]) -> int:
    """Return a round number that no column exceeds: the top of the scale."""
    most = max(column.inbound + column.outbound for column in columns)
    step: int = max(5, 10 ** (len(str(most)) - 1) // 2)
    return max(10, math.ceil(most / step) * step)
