"""What people wrote is shown to those who may read it; the others see how long it is."""

from django.http import HttpRequest
from django.utils.translation import ngettext

READ = "messaging.read_message"
HIDDEN = "••••"


def may_read(request: HttpRequest) -> bool:
    """Whether the user may read what customers and operators wrote."""
    return request.user.has_perm(READ)


def personal(text: str, *, readable: bool) -> str:
    """Return a text as it is shown to somebody who may read it, or may not."""
    if readable or not text:
        return text
    count = len(text)
    length = ngettext("%(count)d character", "%(count)d characters", count) % {"count": count}
    return f"{HIDDEN} {length}"
