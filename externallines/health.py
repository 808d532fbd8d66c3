"""The hourly check of each line, so that its owner hears of trouble before their customers notice it."""

from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from externallines.channels import CHANNELS
from externallines.channels.base import AccountProblem, Channel
from externallines.models import ExternalLine
from externallines.services import get_channel, report_problem, webhook_url
from portals.http import RemoteError

log = structlog.get_logger(__name__)

INTERVAL = timedelta(hours=1)


def due(limit: int) -> list[int]:
    """Take the lines whose check is due, those that waited longest first, and return their ids.

    A line that is taken is due again an hour later, whatever becomes of its check. The limit spreads the
    checks of many lines, and their hour keeps them apart from then on.
    """
    now = timezone.now()
    with transaction.atomic():
        lines = (
            ExternalLine.objects.filter(
                Q(checked_at=None) | Q(checked_at__lte=now - INTERVAL),
                status=ExternalLine.Status.ACTIVE,
                channel__in=[channel.slug for channel in CHANNELS.values() if _can_be_checked(channel)],
            )
            .order_by(F("checked_at").asc(nulls_first=True))
            .select_for_update(skip_locked=True, no_key=True)
        )
        ids = list(lines.values_list("pk", flat=True)[:limit])
        ExternalLine.objects.filter(pk__in=ids).update(checked_at=now)
    return ids


def check(line_id: int) -> None:
    """Renew a line's credentials if need be, and note what its owner should mend.

    A messenger that does not answer says nothing about the line: the last warning stays.
    """
    line = (
        ExternalLine.objects.filter(pk=line_id, status=ExternalLine.Status.ACTIVE).select_related("portal").first()
    )
    if line is None:
        return
    try:
        _renew(line)
        sentences = get_channel(line).health(webhook_url(line))
    except AccountProblem as exc:
        report_problem(line, str(exc))
    except RemoteError as exc:
        log.warning("line_not_checked", line_id=line.pk, reason=str(exc))
    else:
        ExternalLine.objects.filter(pk=line.pk).update(warning="\n".join(sentences))


def _renew(line: ExternalLine) -> None:
    """Store new credentials if the messenger gives some; those that the owner enters meanwhile are newer still."""
    credentials = get_channel(line).renew(timezone.now())
    if credentials is None:
        return
    with transaction.atomic():
        newest = ExternalLine.objects.select_for_update().get(pk=line.pk)
        if newest.credentials == line.credentials:
            newest.credentials = credentials
            newest.save(update_fields=["credentials"])
    line.credentials = newest.credentials
    log.info("line_credentials_renewed", line_id=line.pk)


def _can_be_checked(channel: type[Channel]) -> bool:
    return channel.health is not Channel.health or channel.renew is not Channel.renew
