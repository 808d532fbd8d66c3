"""What becomes of messages, in believable shares, and why some fail."""

from random import Random
from typing import NamedTuple

from console.seeding.houses import PROBLEMS, Place
from externallines.channels import meta_errors, telegram_errors, viber_errors
from externallines.models import ExternalLine
from portals.models import Portal

FAILED = 0.006  # of the operators' messages: three in a thousand of all
RECENT = 3 * 3600  # seconds; since when lines and portals in trouble let nothing through
UNREACHABLE = "The partner could not be reached: Connection refused. Given up after 24 hours."
REASONS = {  # the error's class, and its sentence
    "telegram": (
        ("Blocked", telegram_errors.BLOCKED),
        ("Blocked", telegram_errors.UNKNOWN),
        ("Refused", "The file is too large for Telegram."),
    ),
    "viber": (("Blocked", viber_errors.PROBLEMS[6][1]), ("Refused", viber_errors.PROBLEMS[11][1])),
    "whatsapp": (
        ("WindowClosed", meta_errors.WHATSAPP[131047, 0][1]),
        ("Blocked", meta_errors.WHATSAPP[131026, 0][1]),
        ("Refused", meta_errors.WHATSAPP[131049, 0][1]),
    ),
    "facebook": (("WindowClosed", meta_errors.WINDOW), ("Blocked", meta_errors.UNREACHABLE)),
    "instagram": (("WindowClosed", meta_errors.WINDOW), ("Blocked", meta_errors.UNREACHABLE)),
    "webhook": (("Unreachable", UNREACHABLE), ("Refused", "The partner answers 422.")),
}
KNOW_NO_READERS = ("telegram", "webhook")


class Fate(NamedTuple):
    """A message's status, and its first delivery's failure and error."""

    status: str
    failure: str = ""
    error: str = ""


SENT, DELIVERED, READ, QUEUED = Fate("sent"), Fate("delivered"), Fate("read"), Fate("queued")


def of(place: Place, *, by_customer: bool, age: float, random: Random) -> Fate:
    """Return the fate of a message that was written so many seconds ago."""
    if by_customer:
        waits = age < RECENT and place.portal_status == Portal.Status.NEEDS_REINSTALL
        return QUEUED if waits else SENT
    if age < RECENT and place.status == ExternalLine.Status.ERROR:
        return Fate("queued", "AccountProblem", PROBLEMS[place.channel])
    if age < RECENT and place.portal_status == Portal.Status.NEEDS_REINSTALL:
        return QUEUED
    share = random.random()
    if share < FAILED:
        return Fate("failed", *random.choice(REASONS[place.channel]))
    if place.channel in KNOW_NO_READERS:
        return SENT
    return READ if share < 0.78 else DELIVERED if share < 0.96 else SENT
