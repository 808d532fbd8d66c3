"""How values are shown: times as "3 minutes ago", rows as links."""

from datetime import datetime

from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

MISSING = "—"


def moment(value: datetime | None) -> str:
    """Show a time by its distance from now; the exact one, in the viewer's zone, is its tooltip (console.js)."""
    if value is None:
        return MISSING
    now = timezone.now()
    if abs((now - value).total_seconds()) < 60:
        text = _("just now") if value <= now else _("in a moment")
    elif value < now:
        text = _("%(time)s ago") % {"time": timesince(value, now, depth=1)}
    else:
        text = _("in %(time)s") % {"time": timesince(now, value, depth=1)}
    exact = f"{value:%Y-%m-%d %H:%M:%S} UTC"
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), exact, text)


def duration(seconds: float | None) -> str:
    """Show how long something takes, as exactly as one needs to know."""
    if seconds is None:
        return MISSING
    for size, text in ((3600, _("%(count)s h")), (60, _("%(count)s min"))):
        if seconds >= size:
            return text % {"count": number_format(seconds / size, 0 if seconds >= 10 * size else 1)}
    return _("%(count)s s") % {"count": number_format(seconds, 0 if seconds >= 10 else 1 if seconds >= 1 else 2)}


def kind(word: str) -> str:
    """Show what Uspacy or a messenger calls a kind of message, file or contact."""
    return _(word.capitalize())


def page_url(row: Model) -> str:
    """Return the address of a row's page in the console."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def link(row: Model | None, text: str = "") -> SafeString | str:
    """Show a row as a link to its page."""
    return format_html('<a href="{}">{}</a>', page_url(row), text or str(row)) if row else MISSING
