"""What support staff see of portals."""

from django.contrib import admin

from config.admin import ReadOnlyAdmin
from portals.models import Portal, PortalEvent


class PortalEventInline(admin.TabularInline):
    model = PortalEvent
    fields = readonly_fields = ("created_at", "kind", "text")
    can_delete = False
    max_num = 0
    verbose_name_plural = "history"


@admin.register(Portal)
class PortalAdmin(ReadOnlyAdmin):
    list_display = ("domain", "status", "expires_at", "refreshed_at", "installed_at", "last_error")
    list_filter = ("status",)
    search_fields = ("domain",)
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
