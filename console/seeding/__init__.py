"""Made-up portals, lines, conversations and webhooks of any number, for development: `manage.py seed`.

Nothing here leads to a call to the world outside. The portals' names end in `.test`, which no resolver knows, so
that their nightly renewals go nowhere, or to the stand-in that USPACY_API_URL names; what waits, waits for a
person; no line is ever due for its check.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from console.seeding import houses, showcase, staff
from console.seeding.houses import SUFFIX, Place
from console.seeding.names import firm
from console.seeding.schedule import Schedule
from console.seeding.scribe import Scribe
from console.seeding.traffic import Traffic
from messaging import figures
from portals.models import Portal

__all__ = ["SUFFIX", "Place", "converse", "seed"]

MESSAGES_OF_PORTAL = 1_000
FEWEST_PORTALS = 8
EVENT_DAYS = 14


def seed(messages: int, portals: int | None, now: datetime) -> Iterator[int]:
    """Store everything; yield from time to time how many messages are stored."""
    first = Portal.objects.filter(domain__endswith=SUFFIX).count()
    portals = portals or max(FEWEST_PORTALS, messages // MESSAGES_OF_PORTAL)
    name = f"{firm(first)}{SUFFIX}"
    places = houses.build(first, portals, 2 + messages // 500, _random(name), now)
    yield from converse(messages, places, name, now)
    showcase.build(places[0], uuid.uuid5(uuid.NAMESPACE_DNS, name), _scribe(_random(name), now), now)
    staff.build(now)
    figures.count_due()  # which the home page shows, and beat would do in a minute


def converse(messages: int, places: list[Place], name: str, now: datetime) -> Iterator[int]:
    """Store conversations on some lines, always the same of one name; yield how many messages are stored."""
    random = _random(name)
    schedule = Schedule(messages, places, random, now)
    namespace = uuid.uuid5(uuid.NAMESPACE_DNS, name)
    yield from Traffic(schedule, places, namespace, _scribe(random, now), random).store()


def _random(name: str) -> Random:
    return Random(name)  # noqa: S311  nothing here is a secret


def _scribe(random: Random, now: datetime) -> Scribe:
    return Scribe(random, events_since=now - timedelta(days=EVENT_DAYS))
