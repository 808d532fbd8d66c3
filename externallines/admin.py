"""What support staff see of lines; credentials are never shown."""

from django.contrib import admin

from config.admin import ReadOnlyAdmin
from externallines.models import ExternalLine


@admin.register(ExternalLine)
class ExternalLineAdmin(ReadOnlyAdmin):
    list_display = ("name", "channel", "portal", "status", "error", "warning", "created_at")
    list_filter = ("status", "channel")
    list_select_related = ("portal",)
    search_fields = ("=key", "=external_id", "=uspacy_id", "name", "portal__domain")
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
