"""How a line's channel is shown: by a symbol and its name."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

from console.formats import link
from externallines.channels import CHANNELS
from externallines.models import ExternalLine

SYMBOLS = {
    "webhook": "webhook",
    "telegram": "send",
    "viber": "phone_in_talk",
    "whatsapp": "perm_phone_msg",
    "facebook": "forum",
    "instagram": "photo_camera",
}
ANY_SYMBOL = "cable"  # of a channel that has none of its own


def label(slug: str) -> str:
    return CHANNELS[slug].label if slug in CHANNELS else slug


def symbol(slug: str) -> SafeString:
    """Show a channel's symbol; its name has to stand beside it."""
    return format_html(
        '<span class="material-symbols-outlined console-channel" data-channel="{}" aria-hidden="true">{}</span>',
        slug,
        SYMBOLS.get(slug, ANY_SYMBOL),
    )


def of_line(line: ExternalLine, note: str = "") -> SafeString:
    """Show a line as a link, with its channel's symbol and name, and a note."""
    told = f"{label(line.channel)} · {note}" if note else label(line.channel)
    return format_html(
        '<span class="console-badge">{}<span>{}<br><small>{}</small></span></span>',
        symbol(line.channel),
        link(line, line.name),
        told,
    )


def badge(slug: str, text: str = "") -> SafeString:
    """Show a channel by symbol and name, or by symbol and another text."""
    return format_html('<span class="console-badge">{}<span>{}</span></span>', symbol(slug), text or label(slug))
