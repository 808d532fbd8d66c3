"""Made-up portals, lines, conversations and webhooks of any number, for development: `manage.py seed`.

Nothing here ever leads to a call to the outside by itself. The portals' names end in `.test`, which no resolver
knows; what waits, waits for a person; no line is ever due for its check.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from console.seeding import houses, showcase, staff
from console.seeding.houses import SUFFIX
from console.seeding.names import firm
from console.seeding.schedule import Schedule, namespace
from console.seeding.scribe import Scribe
from console.seeding.traffic import Traffic
from portals.models import Portal

__all__ = ["SUFFIX", "seed"]

MESSAGES_OF_PORTAL = 1_000
FEWEST_PORTALS = 8
EVENT_DAYS = 14


def seed(messages: int, portals: int | None, now: datetime) -> Iterator[int]:
    """Store everything; yield from time to time how many messages are stored."""
    first = Portal.objects.filter(domain__endswith=SUFFIX).count()
    portals = portals or max(FEWEST_PORTALS, messages // MESSAGES_OF_PORTAL)
    name = f"{firm(first)}{SUFFIX}"
    random = Random(name)  # noqa: S311  the same each time
    places = houses.build(first, portals, 2 + messages // 500, random, now)
    scribe = Scribe(random, events_since=now - timedelta(days=EVENT_DAYS))
    schedule = Schedule(messages, places, random, now)
    yield from Traffic(schedule, places, namespace(name), scribe, random).store()
    showcase.build(places[0], namespace(name), scribe, now)
    staff.build(now)
