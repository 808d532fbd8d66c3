"""What goes wrong on some lines: the newest failures, and what waits the longest."""

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet

from console.line_rows import without_secrets
from externallines.models import ExternalLine
from messaging.models import Chat, Delivery

SHOWN = 10
SEARCHED_LINES = 100
SEARCHED_CHATS = 50  # of each line, those that were active last


def troubles(lines: QuerySet[ExternalLine]) -> dict[str, list[Delivery]]:
    """Return failed and waiting deliveries in the lines' chats that were active last.

    A delivery knows its line by its chat only. Looking from the lines downwards costs some hundred steps in an
    index; looking through all failures for those of some lines could cost the whole table.
    """
    newest = Chat.objects.filter(line=OuterRef("pk")).order_by("-last_message_at", "-id").values("pk")
    searched = lines.order_by("-id")[:SEARCHED_LINES]
    chats = [pk for pks in searched.values_list(ArraySubquery(newest[:SEARCHED_CHATS]), flat=True) for pk in pks]
    found = Delivery.objects.filter(chat__in=chats).select_related("chat__line__portal", "message")
    rows = without_secrets(found, "chat__line__")
    return {
        "failures": list(rows.filter(status=Delivery.Status.FAILED).order_by("-id")[:SHOWN]),
        "waiting": list(rows.filter(status=Delivery.Status.OPEN).order_by("id")[:SHOWN]),
    }
