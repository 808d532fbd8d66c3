"""Customers' files that could not be had when their texts were due: the texts went ahead, the files may follow."""

import time
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from messaging import services
from messaging.models import Attachment
from messaging.transfer import FILE_STATE, LATE_FILE_PAUSE, upload, uploaded_before
from portals.http import RemoteError
from portals.services import get_client

log = structlog.get_logger(__name__)

RUN_SECONDS = 20.0  # then the rest waits for the next run
AT_ONCE = 100
LEASE = timedelta(minutes=10)  # longer than a download and an upload
LONGEST_PAUSE = timedelta(minutes=15)


def fetch_due() -> None:
    """Try again for the files whose time has come; where one comes, its message is sent once more, whole."""
    until = time.monotonic() + RUN_SECONDS
    due = Attachment.objects.filter(retry_at__lte=timezone.now()).order_by("retry_at")
    for attachment in due.select_related("message__chat__line__portal")[:AT_ONCE]:
        if time.monotonic() > until:
            return
        unclaimed = Attachment.objects.filter(pk=attachment.pk, retry_at=attachment.retry_at)
        if unclaimed.update(retry_at=timezone.now() + LEASE):
            _fetch(attachment)


def _fetch(attachment: Attachment) -> None:
    message = attachment.message
    try:
        client = get_client(message.chat.line.portal)
        attachment.uspacy_file = uploaded_before(client, attachment, list(message.attachments.all()))
        if attachment.uspacy_file is None:
            upload(client, attachment)
    except RemoteError as exc:
        attachment.error = str(exc)
        _put_off(attachment, may_follow=exc.retryable)
    except Exception as exc:  # a fault of ours with this file: the others do not wait for a new release
        log.error("late_file_fault", attachment_id=attachment.pk, exc_info=exc)
        _put_off(attachment, may_follow=True)
    else:
        attachment.error, attachment.retry_at = "", None
    with transaction.atomic():
        attachment.save(update_fields=FILE_STATE)
        if attachment.uspacy_file is not None:
            services.record_late_file(message)


def _put_off(attachment: Attachment, *, may_follow: bool) -> None:
    """Ask ever more rarely, until it is too late."""
    age = timezone.now() - attachment.message.created_at
    may_follow = may_follow and age < timedelta(hours=settings.DELIVERY_MAX_AGE_HOURS)
    pause = min(max(age, LATE_FILE_PAUSE), LONGEST_PAUSE)
    attachment.retry_at = timezone.now() + pause if may_follow else None
