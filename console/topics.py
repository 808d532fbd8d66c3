"""SNS topics that asked to be heard, and the decision."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Case, IntegerField, QuerySet, When
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from console import formats
from console.row_page import RowPageAdmin
from messaging import topics
from messaging.models import SnsTopic

TONES = {"pending": "warning", "approved": "success", "rejected": "danger", "unsubscribed": "danger"}
PENDING_FIRST = Case(When(status=SnsTopic.Status.PENDING, then=1), default=0, output_field=IntegerField())


class SnsTopicAdmin(RowPageAdmin):
    keyset = ("-is_pending", "-id")
    finds = gettext_lazy("the beginning of a topic's ARN")
    list_display = ("arn", "state", "requested", "confirmed", "error")
    list_filter = (("status", ChoicesDropdownFilter),)
    list_filter_submit = True
    list_before_template = "console/topics_meaning.html"
    page_template = "console/topic.html"
    actions = page_actions = ("approve", "reject")

    class Media:
        css: ClassVar = {"all": ("console/outbox.css",)}

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.filter(arn__startswith=text)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SnsTopic]:
        topics: QuerySet[SnsTopic] = super().get_queryset(request)
        return topics.annotate(is_pending=PENDING_FIRST)

    # the list

    @display(description=gettext_lazy("state"), label=TONES)  # type: ignore[untyped-decorator]
    def state(self, topic: SnsTopic) -> tuple[str, str]:
        if topic.unsubscribed_at:
            return "unsubscribed", _("Unsubscribed")
        return topic.status, topic.get_status_display()

    @admin.display(description=gettext_lazy("asked"))
    def requested(self, topic: SnsTopic) -> str:
        return formats.moment(topic.requested_at)

    @admin.display(description=gettext_lazy("confirmed"))
    def confirmed(self, topic: SnsTopic) -> str:
        return formats.moment(topic.confirmed_at)

    # the page of one

    def page_context(self, request: HttpRequest, row: SnsTopic) -> dict[str, Any]:
        buttons = [] if topics.is_set(row) else self.buttons(request)
        done = {SnsTopic.Status.APPROVED: "approve", SnsTopic.Status.REJECTED: "reject"}.get(
            SnsTopic.Status(row.status)
        )
        return {
            "topic": row,
            "is_set": topics.is_set(row),
            "title": _("SNS topic"),
            "tone": TONES[self.state(row)[0]],
            "state": self.state(row)[1],
            "page_actions": [(name, label) for name, label in buttons if name != done or row.error],
        }

    # what can be done

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
            if topics.is_set(topic):
                text = _("%(topic)s is trusted by SNS_TOPIC_ARNS: remove it there.") % {"topic": topic.arn}
                self.tell(request, text, ok=False)
                continue
            topics.reject(topic)
            self.record(request, topic, "Rejected.")
            self.tell(request, _("%(topic)s is rejected.") % {"topic": topic.arn})
