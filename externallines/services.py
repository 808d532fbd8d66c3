"""What happens to a line: it is connected, changed, reconnected, disconnected.

Connecting goes in steps, each of which is stored: check the credentials with the messenger, create the line
in Uspacy, register the messenger's webhook. A failure leaves the line in `error` with a sentence for its
owner, and `reconnect` goes on where it stopped.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from externallines import form, uspacy_lines
from externallines.channels import CHANNELS
from externallines.channels.base import Account, AccountProblem, Channel, InvalidCredentials
from externallines.models import ExternalLine
from externallines.signals import line_connected
from portals.http import RemoteError
from portals.models import Portal
from portals.rows import Columns, fetch
from portals.services import get_client

LINE = Columns(line=ExternalLine)
LINE_BY_KEY = f"SELECT {LINE} FROM externallines_externalline line WHERE key = %s"  # noqa: S608  only columns

log = structlog.get_logger(__name__)


class AlreadyConnected(Exception):
    """Another line of the portal has this account."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How the line looks in Uspacy, as far as its owner says."""

    name: str = ""
    icon: str = ""
    phone_number: str = ""


def find_line(key: uuid.UUID) -> ExternalLine | None:
    """Return the line that a webhook names."""
    rows = fetch(LINE_BY_KEY, [key])
    line: ExternalLine | None = LINE.read(rows[0])[0] if rows else None
    return line


def get_channel(line: ExternalLine) -> Channel:
    return CHANNELS[line.channel](line.credentials, webhook_url(line))


def webhook_url(line: ExternalLine) -> str:
    prefix = f"/{settings.URL_PREFIX}" if settings.URL_PREFIX else ""
    return f"{settings.PUBLIC_URL}{prefix}/webhooks/lines/{line.key}"


def connect(*, portal: Portal, channel: str, profile: Profile, credentials: Mapping[str, Any]) -> ExternalLine:
    """Connect an account as a line; an account that was disconnected gets its old line back.

    Raises InvalidCredentials (nothing is stored) and AlreadyConnected.
    """
    prepared = CHANNELS[channel].prepare(form.checked(channel, credentials))
    line = ExternalLine(
        portal=portal,
        channel=channel,
        name=profile.name,
        icon=profile.icon,
        phone_number=profile.phone_number,
        credentials=prepared,
    )
    line.external_id = str(line.key)  # until the messenger has told whose account it is
    try:
        account = get_channel(line).check()
    except RemoteError as exc:
        line.save()
        return _failed(line, exc)
    line = _line_of_account(line, account)
    return _establish(line, account)


def reconnect(line: ExternalLine) -> ExternalLine:
    """Go through connecting again, from where it stopped. Raises AlreadyConnected."""
    try:
        account = get_channel(line).check()
    except (InvalidCredentials, RemoteError) as exc:
        return _failed(line, exc)
    if _is_anothers(line, account):
        told = account.name or account.external_id
        return _failed(
            line, InvalidCredentials(f"This is another account's token ({told}); connect it as a new line.")
        )
    with transaction.atomic():
        # The owner may have changed this while we asked, or a check renewed it.
        newest = ExternalLine.objects.select_for_update(no_key=True)
        line.refresh_from_db(fields=["name", "icon", "phone_number", "credentials"], from_queryset=newest)
        changed = _learn(line, account)
        if account.external_id != line.external_id:
            line.external_id = account.external_id
            changed.append("external_id")
        if line.is_closed:  # some messengers call us while they register our webhook
            line.status = ExternalLine.Status.CONNECTING
            changed.append("status")
        if changed:
            _save(line, *changed)
    return _establish(line, account)


def revive(line: ExternalLine) -> None:
    """Bring a line back that went down with its portal."""
    try:
        reconnect(line)
    except AlreadyConnected as exc:  # its credentials were changed to another line's
        _failed(line, exc)


def disconnect(line: ExternalLine) -> None:
    """Stop the line and keep its history; a worker then removes our webhook (`tend_lines`)."""
    line.status = ExternalLine.Status.DISABLED
    line.suspended = False
    line.error = ""
    _save(line, "status", "suspended", "error")
    log.info("line_disconnected", line_id=line.pk)


def suspend_lines(portal: Portal) -> None:
    """Disconnect all lines of an uninstalled portal until it installs again."""
    portal.lines.exclude(status=ExternalLine.Status.DISABLED).update(
        status=ExternalLine.Status.DISABLED, suspended=True
    )


def unsubscribe(line: ExternalLine) -> None:
    """Remove our webhook from the messenger, unless it refuses. RemoteError if a later try may help."""
    if not ExternalLine.objects.to_unsubscribe().filter(pk=line.pk).exists():
        return  # brought back meanwhile
    try:
        get_channel(line).unsubscribe(webhook_url(line))
    except RemoteError as exc:
        if exc.retryable and not isinstance(exc, AccountProblem):
            raise
        log.warning("webhook_not_removed", line_id=line.pk, reason=str(exc))
    if not ExternalLine.objects.to_unsubscribe().filter(pk=line.pk).update(subscribed=False):
        line.refresh_from_db()
        if line.status != ExternalLine.Status.DISABLED:  # brought back meanwhile, perhaps before our call
            get_channel(line).subscribe(webhook_url(line))


def change(
    line: ExternalLine, *, profile: Profile | None = None, credentials: Mapping[str, Any] | None = None
) -> None:
    """Change how the line looks, in Uspacy too, and its credentials, which `reconnect` then tries.

    Of the credentials a field that is left out or empty stays as it is, and so does what we generated or learned.
    Raises InvalidCredentials or RemoteError (nothing is stored).
    """
    changed: list[str] = []
    if credentials is not None:
        line.credentials = form.changed(line, credentials)
        changed.append("credentials")
    if profile is not None:
        line.name, line.icon, line.phone_number = profile.name, profile.icon, profile.phone_number
        changed += ["name", "icon", "phone_number"]
        if line.uspacy_id:
            get_client(line.portal).update_line(line.uspacy_id, **uspacy_lines.profile(line))
    _save(line, *changed)


def activate(line: ExternalLine) -> None:
    """The line's first valid event has arrived: it works."""
    now = timezone.now()
    ExternalLine.objects.filter(pk=line.pk, status=ExternalLine.Status.CONNECTING).exclude(uspacy_id="").update(
        status=ExternalLine.Status.ACTIVE, activated_at=now
    )


def report_problem(line: ExternalLine, sentence: str) -> None:
    """The account needs its owner; the line's messages wait until `reconnect`."""
    ExternalLine.objects.filter(pk=line.pk, status=ExternalLine.Status.ACTIVE).update(
        status=ExternalLine.Status.ERROR, error=sentence
    )
    log.error("line_needs_attention", line_id=line.pk, reason=sentence)


def _is_anothers(line: ExternalLine, account: Account) -> bool:
    """Whether a line that has had an account would get another's, and show its customers in the wrong chats."""
    was_connected = line.external_id != str(line.key)
    return was_connected and account.external_id != line.external_id and not CHANNELS[line.channel].may_move


def _line_of_account(line: ExternalLine, account: Account) -> ExternalLine:
    """Store the new line, or take over the disconnected one of the same account."""
    line.external_id = account.external_id
    _learn(line, account)
    with transaction.atomic():
        old = line.portal.lines.select_for_update().filter(external_id=account.external_id).first()
        if old and not old.is_closed:
            raise AlreadyConnected("This account is connected to the portal already.")
        if old:
            old.name, old.icon, old.phone_number = line.name, line.icon, line.phone_number
            old.channel, old.credentials = line.channel, line.credentials
            line = old
        line.status = ExternalLine.Status.CONNECTING
        try:
            with transaction.atomic():
                line.save()
        except IntegrityError as exc:  # a second request connects the same account right now
            raise AlreadyConnected("This account is connected to the portal already.") from exc
    return line


def _learn(line: ExternalLine, account: Account) -> list[str]:
    """Keep what the account tells of itself; return the names of the fields that changed.

    The line looks like its account where its owner did not say how.
    """
    told = {
        "name": account.name[:255] or CHANNELS[line.channel].label,
        "phone_number": account.phone_number[:64],
        "icon": account.picture_url if len(account.picture_url) <= 1000 else "",  # half an address is none
    }
    changes: dict[str, Any] = {name: value for name, value in told.items() if value and not getattr(line, name)}
    if (credentials := {**line.credentials, **account.learned}) != line.credentials:
        changes["credentials"] = credentials
    for name, value in changes.items():
        setattr(line, name, value)
    return list(changes)


def _establish(line: ExternalLine, account: Account) -> ExternalLine:
    if line.status == ExternalLine.Status.DISABLED:
        line.status = ExternalLine.Status.CONNECTING  # from now on no worker removes the webhook for good
        _save(line, "status")
    try:
        line.uspacy_id = uspacy_lines.find_or_create(line)
        line.subscribed = True  # perhaps, from now on: the answer may be lost
        _save(line, "uspacy_id", "subscribed")
        get_channel(line).subscribe(webhook_url(line))
    except (InvalidCredentials, RemoteError) as exc:
        return _failed(line, exc)
    with _newest(line) as newest:
        works = account.active or newest.activated_at is not None
        newest.status = ExternalLine.Status.ACTIVE if works else ExternalLine.Status.CONNECTING
        newest.activated_at = timezone.now() if works else None
        newest.subscribed, newest.suspended, newest.error, newest.warning = True, False, "", ""
    line_connected.send(sender=ExternalLine, line=newest)
    log.info("line_connected", line_id=line.pk, portal=line.portal.domain, channel=line.channel)
    return newest


def _failed(line: ExternalLine, exc: Exception) -> ExternalLine:
    with _newest(line) as newest:
        newest.error = str(exc)
        # A line that worked goes on, and a suspended one is tried again by `tend_lines`, unless that cannot help.
        works = newest.suspended or newest.status == ExternalLine.Status.ACTIVE
        if not (works and isinstance(exc, RemoteError) and exc.retryable and not isinstance(exc, AccountProblem)):
            newest.status, newest.suspended = ExternalLine.Status.ERROR, False
    log.warning("line_not_connected", line_id=line.pk, reason=str(exc))
    return newest


@contextmanager
def _newest(line: ExternalLine) -> Iterator[ExternalLine]:
    """Hand out the line as it is now, and store how connecting ended; unless it was disconnected meanwhile."""
    with transaction.atomic():
        newest = (
            ExternalLine.objects.select_for_update(of=("self",), no_key=True)
            .select_related("portal")
            .get(pk=line.pk)
        )
        was_disconnected = newest.is_closed and not line.is_closed
        yield newest
        if was_disconnected:
            _save(newest, "subscribed")  # our webhook may have been removed before it was registered
            newest.refresh_from_db()
        else:
            _save(newest, "status", "activated_at", "subscribed", "suspended", "error", "warning")


def _save(line: ExternalLine, *fields: str) -> None:
    try:
        line.save(update_fields=fields)
    except IntegrityError as exc:
        raise AlreadyConnected("Another line of the portal has this account.") from exc
