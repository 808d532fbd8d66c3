"""What support staff see of lines; credentials are never shown."""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from console.base import ConsoleAdmin, as_uuid


class ExternalLineAdmin(ConsoleAdmin):
    finds = _("a part of the name, an id of the line, or the beginning of its portal's domain")
    list_display = ("name", "channel", "portal", "status", "error", "warning", "created_at")
    list_filter = ("status", "channel")
    list_select_related = ("portal",)
    fields = (
        "portal",
        "channel",
        "name",
        "icon",
        "phone_number",
        "key",
        "external_id",
        "uspacy_id",
        "status",
        "error",
        "warning",
        "checked_at",
        "suspended",
        "subscribed",
        "created_at",
        "activated_at",
    )

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.filter(
            Q(name__icontains=text)
            | Q(external_id=text)
            | Q(uspacy_id=text)
            | Q(key=as_uuid(text))
            | Q(portal__domain__startswith=text.lower())
        )
