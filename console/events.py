"""Webhooks as they came, and "process again"."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from console.base import ConsoleAdmin
from messaging import inbox
from messaging.models import WebhookEvent


class WebhookEventAdmin(ConsoleAdmin):
    finds = _("uspacy, the key of a line, or the sender's id of the event")
    list_display = ("id", "received_at", "source", "key", "outcome", "reason")
    list_filter = ("outcome",)
    actions = page_actions = ("process_again",)

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.filter(Q(source=text) | Q(key=text))

    def has_reprocess_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "reprocess_webhookevent")

    @admin.action(description=_("Process again"), permissions=["reprocess"])
    def process_again(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        for event in queryset.order_by("id"):
            inbox.reprocess(event)
            self.record(request, event, "Processed again.")
            ok = event.outcome != WebhookEvent.Outcome.FAILED
            self.tell(request, f"{event}: {event.get_outcome_display()} {event.reason}", ok=ok)
