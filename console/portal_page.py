"""What the page of one portal shows besides the portal: never more than a screen of each."""

from dataclasses import dataclass

from django.db.models import Case, When

from console.line_rows import with_last_message, without_secrets
from externallines.models import ExternalLine
from portals.models import Portal, PortalEvent

SHOWN_EVENTS = 50
SHOWN_LINES = 20

SYMBOLS = {
    PortalEvent.Kind.INSTALLED: ("download_done", "good"),
    PortalEvent.Kind.REINSTALLED: ("restart_alt", "good"),
    PortalEvent.Kind.RENEWED: ("autorenew", ""),
    PortalEvent.Kind.SIGNED_IN: ("key", "warn"),
    PortalEvent.Kind.REFUSED: ("block", "wrong"),
    PortalEvent.Kind.UNINSTALLED: ("delete", "wrong"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """An event of a portal's history, with the symbol and the tone it is shown in."""

    event: PortalEvent
    symbol: str
    tone: str


def history(portal: Portal) -> list[Step]:
    """Return the newest events of a portal."""
    return [Step(event, *SYMBOLS[PortalEvent.Kind(event.kind)]) for event in portal.events.all()[:SHOWN_EVENTS]]


def lines(portal: Portal) -> list[ExternalLine]:
    """Return lines of a portal, those first that need somebody, with the time of their last message."""
    urgency = Case(
        When(status=ExternalLine.Status.ERROR, then=0),
        When(status=ExternalLine.Status.DISABLED, then=2),
        default=1,
    )
    return list(with_last_message(without_secrets(portal.lines.all())).order_by(urgency, "-id")[:SHOWN_LINES])
