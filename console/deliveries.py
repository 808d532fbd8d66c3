"""The outbox, and "send again"."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.base import ConsoleAdmin, as_uuid
from messaging import services
from messaging.models import Delivery


class DeliveryAdmin(ConsoleAdmin):
    finds = gettext_lazy("an id of the message, the messenger's or Uspacy's")
    list_display = ("id", "created_at", "chat", "destination", "kind", "status", "attempts", "error")
    list_filter = ("status", "destination", "kind")
    list_select_related = ("chat",)
    raw_id_fields = ("message", "chat")
    actions = page_actions = ("send_again",)

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.filter(Q(message__external_id=text) | Q(message__uspacy_id=as_uuid(text)))

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "requeue_delivery")

    @admin.action(description=gettext_lazy("Send again"), permissions=["requeue"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        chosen = list(queryset.select_related("message").order_by("id"))
        queued = [delivery for delivery in chosen if services.requeue(delivery)]
        for delivery in queued:
            self.record(request, delivery, "Sent again.")
        told = {"queued": len(queued), "chosen": len(chosen)}
        self.tell(request, _("%(queued)s of %(chosen)s are sent again; the others have not failed.") % told)
