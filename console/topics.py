"""SNS topics that asked to be heard, and the decision."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.base import ConsoleAdmin
from messaging import topics
from messaging.models import SnsTopic


class SnsTopicAdmin(ConsoleAdmin):
    finds = gettext_lazy("the beginning of a topic's ARN")
    list_display = ("arn", "status", "requested_at", "confirmed_at", "unsubscribed_at", "error")
    list_filter = ("status",)
    fields = ("arn", "status", "requested_at", "confirmed_at", "unsubscribed_at", "error")
    actions = page_actions = ("approve", "reject")

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.filter(arn__startswith=text)

    def has_approve_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "approve_snstopic")

    @admin.action(
        description=gettext_lazy("Approve: confirm the subscription and listen"), permissions=["approve"]
    )
    def approve(self, request: HttpRequest, queryset: QuerySet[SnsTopic]) -> None:
        for topic in queryset:
            topics.approve(topic)
            self.record(request, topic, "Approved.")
        self.tell(request, _("Approved. The subscription is confirmed within seconds."))

    @admin.action(description=gettext_lazy("Reject: refuse what the topic sends"), permissions=["approve"])
    def reject(self, request: HttpRequest, queryset: QuerySet[SnsTopic]) -> None:
        for topic in queryset:
            topics.reject(topic)
            self.record(request, topic, "Rejected.")
        self.tell(request, _("Rejected."))
