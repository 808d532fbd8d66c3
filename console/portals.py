"""What support staff see of portals."""

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from console.base import ConsoleAdmin
from portals.models import PortalEvent


class PortalEventInline(TabularInline):
    model = PortalEvent
    fields = readonly_fields = ("created_at", "kind", "text")
    can_delete = False
    max_num = 0
    verbose_name_plural = "history"


class PortalAdmin(ConsoleAdmin):
    keyset = ("domain",)
    finds = _("the beginning of a domain")
    list_display = ("domain", "status", "expires_at", "refreshed_at", "installed_at", "last_error")
    list_filter = ("status",)
    fields = (
        "domain",
        "status",
        "installed_at",
        "uninstalled_at",
        "expires_at",
        "refresh_expires_at",
        "refreshed_at",
        "last_error",
    )
    inlines = (PortalEventInline,)

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.filter(domain__startswith=text.lower())
