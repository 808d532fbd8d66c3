"""Files on their way through: streamed from one side to the other, never kept."""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from tempfile import TemporaryFile
from typing import BinaryIO
from urllib.parse import quote

from django.conf import settings
from django.core import signing
from django.utils import timezone

from externallines.channels import markup
from externallines.channels.base import MediaKind, OutboundFile
from externallines.services import get_channel
from messaging.models import Attachment, Delivery, Message
from portals.http import DOWNLOAD_SECONDS, Busy, RemoteError, ServerFault, TooLarge, Unreachable
from portals.services import NeedsReinstall, RenewalInProgress, get_client
from portals.uspacy import FileObject, UspacyClient

FILE_ATTEMPTS = 5  # of a delivery; then the text goes ahead of a file that cannot be had (messaging.late_files)
FILE_STATE = ["uspacy_file", "size", "mime_type", "error", "retry_at"]
LATE_FILE_PAUSE = timedelta(minutes=1)
URL_SALT = "attachment"
URL_DAYS = 7  # channels.md 5 asks for at least three


class NotFetched(RemoteError):
    """An operator's file could not be had from Uspacy, so that nothing of it has gone to the messenger."""

    retryable = True


def upload_attachments(delivery: Delivery, client: UspacyClient, still_ours: Callable[[], None]) -> list[str]:
    """Bring a customer's files into Uspacy; return a note for each that cannot be.

    Raises RemoteError while another attempt may still bring them.
    """
    if not delivery.has_files:
        return []
    attachments = list(delivery.message.attachments.all())
    missing = [attachment for attachment in attachments if not attachment.uspacy_file and not attachment.retry_at]
    for attachment in missing:
        still_ours()
        attachment.error = ""
        try:
            if delivery.attempts > 1:
                attachment.uspacy_file = uploaded_before(client, attachment, attachments)
            if attachment.uspacy_file is None:
                upload(client, attachment, still_ours)
        except (Busy, RenewalInProgress, NeedsReinstall):
            raise  # says nothing of the file
        except RemoteError as exc:
            if exc.retryable and delivery.attempts < FILE_ATTEMPTS:
                raise
            attachment.error = str(exc)
            attachment.retry_at = timezone.now() + LATE_FILE_PAUSE if exc.retryable else None
        attachment.save(update_fields=FILE_STATE)
    return [note(attachment) for attachment in attachments if attachment.uspacy_file is None]


def note(attachment: Attachment) -> str:
    return f"[The file “{markup.escape(attachment.name)}” could not be transferred: {attachment.error}]"


def outbound_files(message: Message, still_ours: Callable[[], None]) -> list[OutboundFile]:
    """Return an operator's files, measured, as a messenger takes them. Raises RemoteError."""
    return [_outbound_file(attachment, still_ours) for attachment in message.attachments.all()]


def read_from_uspacy(attachment: Attachment, into: BinaryIO, *, timeout: float = DOWNLOAD_SECONDS) -> None:
    """Write an operator's file to `into` and remember its size and digest. Raises RemoteError."""
    client = get_client(attachment.message.chat.line.portal)
    done = client.download_file(attachment.source["url"], into, max_bytes=_max_bytes(), timeout=timeout)
    attachment.size, attachment.sha256 = done.size, done.sha256


def attachment_url(attachment: Attachment) -> str:
    """Return a public, signed URL of an operator's file, for messengers that fetch it themselves."""
    return f"{media_url()}/{signing.dumps(attachment.pk, salt=URL_SALT)}/{quote(attachment.name, safe='')}"


def attachment_of_url(token: str) -> Attachment | None:
    """Return the attachment a URL was signed for; None if the signature is wrong or has expired."""
    try:
        pk = signing.loads(token, salt=URL_SALT, max_age=URL_DAYS * 24 * 3600)
    except signing.BadSignature:
        return None
    return Attachment.objects.select_related("message__chat__line__portal").filter(pk=pk).first()


def upload(client: UspacyClient, attachment: Attachment, still_ours: Callable[[], None] = lambda: None) -> None:
    """Bring a customer's file from its messenger into Uspacy. Raises RemoteError."""
    if attachment.size is not None and attachment.size > _max_bytes():
        raise TooLarge(f"it is larger than {settings.MAX_ATTACHMENT_MB} MB.")
    channel = get_channel(attachment.message.chat.line)
    with TemporaryFile() as file:
        try:
            mime_type = channel.download(attachment.source, file, _max_bytes())
        except TooLarge as exc:
            raise TooLarge(f"it is larger than {settings.MAX_ATTACHMENT_MB} MB.") from exc
        attachment.size = file.tell()
        attachment.mime_type = (mime_type or attachment.mime_type)[:255]
        file.seek(0)
        still_ours()
        attachment.uspacy_file = client.upload_file(
            str(attachment.message.uspacy_id), attachment.name, attachment.mime_type, file
        )


def uploaded_before(
    client: UspacyClient, attachment: Attachment, attachments: Sequence[Attachment]
) -> FileObject | None:
    """Return the file that an earlier attempt uploaded without hearing of it, by its name (uspacy-api.md 10)."""
    taken = [other.uspacy_file["id"] for other in attachments if other.uspacy_file]
    for file in client.list_files(str(attachment.message.uspacy_id)):
        if file["originalFilename"] == attachment.name and file["id"] not in taken:
            return file
    return None


def _outbound_file(attachment: Attachment, still_ours: Callable[[], None]) -> OutboundFile:
    if not attachment.sha256:
        still_ours()
        try:
            with open(os.devnull, "wb") as nowhere:  # only to measure it
                read_from_uspacy(attachment, nowhere)
        except TooLarge as exc:
            raise TooLarge(f"A file is larger than {settings.MAX_ATTACHMENT_MB} MB.") from exc
        attachment.save(update_fields=["size", "sha256"])
    return OutboundFile(
        name=attachment.name,
        mime_type=attachment.mime_type,
        size=attachment.size or 0,
        sha256=attachment.sha256,
        kind=MediaKind(attachment.kind),
        url=attachment_url(attachment),
        write_to=partial(_write_next, attachment, still_ours),
    )


def _write_next(attachment: Attachment, still_ours: Callable[[], None], into: BinaryIO) -> None:
    """Write an operator's file to `into`, of which the messenger has nothing yet: a step of its own."""
    still_ours()
    try:
        read_from_uspacy(attachment, into)
    except (Unreachable, ServerFault) as exc:
        raise NotFetched(str(exc), code=exc.code, retry_after=exc.retry_after) from exc


def _max_bytes() -> int:
    return int(settings.MAX_ATTACHMENT_MB) * 1024 * 1024


def media_url() -> str:
    return "/".join(filter(None, (settings.PUBLIC_URL, settings.URL_PREFIX, "media")))
