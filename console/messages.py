"""What support staff see of messages."""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from console.base import ConsoleAdmin, as_uuid
from messaging.models import Attachment, Delivery


class AttachmentInline(TabularInline):
    model = Attachment
    fields = readonly_fields = ("name", "mime_type", "size", "kind", "error")
    can_delete = False
    max_num = 0


class DeliveryInline(TabularInline):
    model = Delivery
    fields = readonly_fields = (
        "created_at",
        "destination",
        "kind",
        "status",
        "attempts",
        "available_at",
        "settled_at",
        "error",
    )
    can_delete = False
    max_num = 0


class MessageAdmin(ConsoleAdmin):
    finds = _("an id of the message, the messenger's or Uspacy's")
    list_display = ("id", "sent_at", "chat", "direction", "status", "error")
    list_filter = ("status", "direction")
    list_select_related = ("chat",)
    raw_id_fields = ("chat", "parent", "event")
    inlines = (AttachmentInline, DeliveryInline)

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.filter(Q(external_id=text) | Q(uspacy_id=as_uuid(text)))
