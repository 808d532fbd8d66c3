"""What is shown of a line wherever it is listed."""

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from messaging.models import Chat

LABELS = {"active": "success", "connecting": "info", "error": "danger", "disabled": "default"}


def with_last_message(lines: QuerySet[Any]) -> QuerySet[Any]:
    """Add the time of each line's last message."""
    newest = Chat.objects.filter(line=OuterRef("pk")).order_by("-last_message_at", "-id")
    rows: QuerySet[Any] = lines.annotate(last_message_at=Subquery(newest.values("last_message_at")[:1]))
    return rows


def without_secrets(rows: QuerySet[Any], to_line: str = "") -> QuerySet[Any]:
    """Leave the secrets of lines and their portals encrypted: one that cannot be read takes no list down."""
    return rows.defer(f"{to_line}credentials", f"{to_line}portal__token", f"{to_line}portal__refresh_token")


def tone(status: str) -> str:
    """Return the colour of a line's state."""
    return LABELS[status]
