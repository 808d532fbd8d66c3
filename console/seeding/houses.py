"""Portals with their history, and their lines: in all states, and of all channels."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from django.db import reset_queries

from console.seeding import names
from console.seeding.loading import in_batches
from externallines.channels import meta_errors, telegram_errors, viber_errors
from externallines.models import ExternalLine
from portals.models import Portal, PortalEvent

Status = ExternalLine.Status
SUFFIX = ".uspacy.test"  # reserved (RFC 2606): leads nowhere, and no real portal has it
CHANNELS = ("telegram", "viber", "whatsapp", "facebook", "instagram", "webhook")
LINES_OF_PORTAL = (2, 3, 3, 4, 5, 6, 8, 10, 14, 20, 40)
AT_ONCE = 500
NEVER_DUE = timedelta(days=3650)  # a line's check, which would call its messenger

PROBLEMS = {
    "telegram": telegram_errors.REFUSALS[0][3],
    "viber": viber_errors.PROBLEMS[2][1],
    "whatsapp": meta_errors.WHATSAPP[131042, 0][1],
    "facebook": meta_errors.EXPIRED,
    "instagram": meta_errors.PERMISSION,
    "webhook": "The partner's address answers 401. Enter the current address and secret, then reconnect.",
}
WARNINGS = {
    "telegram": "Telegram could not reach us at its last try: Connection timed out.",
    "viber": "Viber calls another address. Reconnect the line.",
    "whatsapp": "WhatsApp rates the quality of this number as low. It may soon send less.",
    "facebook": "The access token expires in 6 days. Enter a new one and reconnect.",
    "instagram": "The access token expires in 6 days. Enter a new one and reconnect.",
    "webhook": "",
}
TITLES = {
    "telegram": "{firm} у Telegram",
    "viber": "{firm} Viber",
    "whatsapp": "{firm} WhatsApp",
    "facebook": "{firm} | Facebook",
    "instagram": "@{word}",
    "webhook": "{firm} chat on the website",
}
REFUSED = "Uspacy refused to renew the tokens; install the app again. The refresh token is not valid any more."


@dataclass(frozen=True, slots=True)
class Place:
    """A line, as far as what is written on it depends on it."""

    id: int
    key: str
    channel: str
    name: str
    external_id: str
    uspacy_id: str
    domain: str
    status: str
    portal_status: str

    @classmethod
    def of(cls, line: ExternalLine) -> "Place":
        portal = line.portal
        ids = line.pk, str(line.key), line.channel, line.name, line.external_id, line.uspacy_id
        return cls(*ids, domain=portal.domain, status=line.status, portal_status=portal.status)

    @property
    def is_closed(self) -> bool:
        return self.status == Status.DISABLED


def build(first: int, count: int, lines_at_most: int, random: Random, now: datetime) -> list[Place]:
    """Store portals, named from the number `first` on; return their lines that customers can write to.

    The first portal has a line of each channel, of which the first, Telegram's, needs attention.
    """
    places = []
    for turns in in_batches(range(count), AT_ONCE):
        portals = Portal.objects.bulk_create(
            _portal(turn, names.firm(first + turn), random, now) for turn in turns
        )
        PortalEvent.objects.bulk_create(event for portal in portals for event in _history(portal, random, now))
        lines = ExternalLine.objects.bulk_create(
            line
            for turn, portal in zip(turns, portals, strict=True)
            for line in _lines(portal, turn, lines_at_most, random, now)
        )
        places += [Place.of(line) for line in lines if line.status != Status.CONNECTING]
        reset_queries()  # which Django keeps, with DEBUG
    return places


def _portal(turn: int, firm: str, random: Random, now: datetime) -> Portal:
    renewed = (now - timedelta(hours=1)).replace(hour=1, minute=random.randrange(8), second=random.randrange(60))
    renewed -= timedelta(days=1) if renewed > now else timedelta(0)
    portal = Portal(
        domain=f"{firm}{SUFFIX}",
        token=f"made-up-token-{random.getrandbits(64):x}",
        refresh_token=f"made-up-refresh-token-{random.getrandbits(64):x}",
        installed_at=now - timedelta(days=31 + random.randrange(300), seconds=random.randrange(86_400)),
        refreshed_at=renewed,
        expires_at=renewed + timedelta(days=30),
        refresh_expires_at=renewed + timedelta(days=30),
    )
    if turn % 29 == 5:
        portal.status, portal.last_error = Portal.Status.NEEDS_REINSTALL, REFUSED
        portal.refreshed_at = now - timedelta(days=1 + turn % 20)
        portal.expires_at = portal.refreshed_at + timedelta(days=1)
    elif turn % 41 == 7:
        portal.status, portal.uninstalled_at = Portal.Status.UNINSTALLED, now - timedelta(days=2 + turn % 3)
        portal.token = portal.refresh_token = ""
        portal.expires_at = portal.refresh_expires_at = None
    elif turn % 50 == 3:  # whose tokens expire soon
        portal.refreshed_at, portal.expires_at = now - timedelta(days=29), now + timedelta(hours=3 + turn % 20)
    return portal


def _history(portal: Portal, random: Random, now: datetime) -> Iterator[PortalEvent]:
    yield PortalEvent(portal=portal, kind=PortalEvent.Kind.INSTALLED, created_at=portal.installed_at)
    if random.random() < 0.1:
        again = now - timedelta(days=31, hours=random.randrange(12))
        yield PortalEvent(portal=portal, kind=PortalEvent.Kind.REINSTALLED, created_at=again)
    last = portal.refreshed_at or now
    for days in range(12, 0, -1):
        yield PortalEvent(portal=portal, kind=PortalEvent.Kind.RENEWED, created_at=last - timedelta(days=days))
    if random.random() < 0.03:
        yield PortalEvent(portal=portal, kind=PortalEvent.Kind.SIGNED_IN, created_at=last - timedelta(hours=5))
    if portal.status == Portal.Status.ACTIVE:
        yield PortalEvent(portal=portal, kind=PortalEvent.Kind.RENEWED, created_at=last)
    elif portal.status == Portal.Status.NEEDS_REINSTALL:
        refused = last + timedelta(days=1)
        yield PortalEvent(portal=portal, kind=PortalEvent.Kind.REFUSED, text=REFUSED, created_at=refused)
    else:
        yield PortalEvent(
            portal=portal, kind=PortalEvent.Kind.UNINSTALLED, created_at=portal.uninstalled_at or now
        )


def _lines(portal: Portal, turn: int, at_most: int, random: Random, now: datetime) -> Iterator[ExternalLine]:
    count = min(at_most, random.choice(LINES_OF_PORTAL)) if turn else len(CHANNELS)
    for place in range(count):
        yield _line(portal, CHANNELS[(turn + place) % len(CHANNELS)], turn * 7 + place, random, now)


def _line(portal: Portal, channel: str, number: int, random: Random, now: datetime) -> ExternalLine:
    firm = names.firm_name(portal.domain)
    account = str(random.randrange(10**9, 10**10))
    created = max(portal.installed_at, now - timedelta(days=31 + random.randrange(200)))
    line = ExternalLine(
        portal=portal,
        key=uuid.UUID(int=random.getrandbits(128), version=4),
        channel=channel,
        name=TITLES[channel].format(firm=firm, word=portal.domain.partition(".")[0].replace("-", "_")),
        phone_number=f"+38044{account[:7]}" if channel in ("viber", "whatsapp") else "",
        external_id=f"webhook-{account}" if channel == "webhook" else account,
        uspacy_id=f"{random.getrandbits(96):024x}",
        credentials=_credentials(channel, account, random),
        status=Status.ACTIVE,
        subscribed=True,
        created_at=created,
        activated_at=created + timedelta(seconds=40),
        checked_at=now + NEVER_DUE,
    )
    if portal.status == Portal.Status.UNINSTALLED:
        line.status, line.suspended, line.subscribed = Status.DISABLED, True, False
    elif number % 23 == 0:
        line.status, line.error = Status.ERROR, PROBLEMS[channel]
    elif number % 37 == 9:
        line.status, line.subscribed = Status.DISABLED, False
    elif number % 31 == 5:
        line.status, line.uspacy_id, line.activated_at = Status.CONNECTING, "", None
        line.created_at = now - timedelta(minutes=random.randrange(3, 600))
    elif number % 19 == 2:
        line.warning = WARNINGS[channel]
    return line


def _credentials(channel: str, account: str, random: Random) -> dict[str, Any]:
    """Return what the channel would have stored; none of it opens anything."""
    secret = f"made-up-{random.getrandbits(128):032x}"
    match channel:
        case "telegram":
            return {"token": f"{account}:{secret}", "webhook_secret": secret}
        case "viber":
            return {"token": secret}
        case "webhook":
            address = "https://chat.partner.test/uspacy"
            return {"url": address, "secret": "whsec_bWFkZS11cC1tYWRlLXVwLW1hZGUtdXA=", "secret_is_ours": True}
    meta = {"access_token": secret, "app_id": account, "app_secret": secret, "verify_token": secret}
    match channel:
        case "whatsapp":
            return {**meta, "phone_number_id": account, "waba_id": account}
        case "facebook":
            return {**meta, "page_id": account}
    return {**meta, "login": "facebook", "page_id": account}
