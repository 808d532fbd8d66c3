"""How far a message has come, and what of a text was looked for, as marks beside and in it."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from messaging.models import Message

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as StrPromise

Status = Message.Status
ICONS = {
    Status.QUEUED: "schedule",
    Status.SENT: "check",
    Status.DELIVERED: "done_all",
    Status.READ: "done_all",
    Status.FAILED: "error",
}
TO_CUSTOMER = {status: status.label for status in Status}
TO_USPACY = {
    Status.QUEUED: _("On its way to Uspacy"),
    Status.SENT: _("In Uspacy"),
    Status.DELIVERED: _("In Uspacy"),
    Status.READ: _("Read in Uspacy"),
    Status.FAILED: _("Not in Uspacy"),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A status as an icon and words."""

    status: str
    icon: str
    words: "StrPromise"


def mark_of(message: Message) -> Mark:
    status = Status(message.status)
    return Mark(status, ICONS[status], (TO_CUSTOMER if message.is_outbound else TO_USPACY)[status])


def highlighted(text: str, wanted: str) -> SafeString | str:
    """Show a text with what somebody looked for marked in it."""
    if not wanted:
        return text
    pieces = re.split(f"({re.escape(wanted)})", text, flags=re.IGNORECASE)  # every other one is a match
    return format_html_join(
        "",
        "{}",
        ((format_html("<mark>{}</mark>", piece) if number % 2 else piece,) for number, piece in enumerate(pieces)),
    )
