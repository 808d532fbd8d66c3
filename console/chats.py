"""What support staff see of chats."""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from console.base import ConsoleAdmin, as_uuid


class ChatAdmin(ConsoleAdmin):
    keyset = ("-last_message_at", "-id")
    finds = _("an id of the chat or of its customer")
    list_display = ("__str__", "line", "external_id", "blocked", "last_message_at")
    list_select_related = ("line",)
    raw_id_fields = ("line",)

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.filter(Q(external_id=text) | Q(contact_id=text) | Q(uspacy_id=as_uuid(text)))
