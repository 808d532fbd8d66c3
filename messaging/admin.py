"""What support staff see of chats, messages, deliveries and webhooks, and what they can do about them."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from config.admin import ReadOnlyAdmin
from messaging import inbox, services, topics
from messaging.models import Attachment, Chat, Delivery, Message, SnsTopic, WebhookEvent


@admin.register(Chat)
class ChatAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "line", "external_id", "blocked", "last_message_at")
    list_select_related = ("line",)
    search_fields = ("=external_id", "=contact_id", "=uspacy_id")
    raw_id_fields = ("line",)


class AttachmentInline(admin.TabularInline):
    model = Attachment
    fields = readonly_fields = ("name", "mime_type", "size", "kind", "error")
    can_delete = False
    max_num = 0


class DeliveryInline(admin.TabularInline):
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


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("id", "sent_at", "chat", "direction", "status", "error")
    list_filter = ("status", "direction")
    list_select_related = ("chat",)
    search_fields = ("=external_id", "=uspacy_id")
    raw_id_fields = ("chat", "parent")
    inlines = (AttachmentInline, DeliveryInline)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """The outbox, and "send again"."""

    list_display = ("id", "created_at", "chat", "destination", "kind", "status", "attempts", "error")
    list_filter = ("status", "destination", "kind")
    list_select_related = ("chat",)
    search_fields = ("=chat__external_id", "=message__external_id", "=message__uspacy_id")
    raw_id_fields = ("message", "chat")
    actions = ("send_again",)

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("messaging.requeue_delivery")

    @admin.action(description="Send again", permissions=["requeue"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        chosen = list(queryset.select_related("message").order_by("id"))
        queued = [delivery for delivery in chosen if services.requeue(delivery)]
        self.message_user(request, f"{len(queued)} of {len(chosen)} are sent again; the others have not failed.")


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin):
    """Webhooks as they came, and "process again"."""

    list_display = ("id", "received_at", "source", "key", "outcome", "reason")
    list_filter = ("outcome",)
    search_fields = ("=source", "=key")
    actions = ("process_again",)

    def has_reprocess_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("messaging.reprocess_webhookevent")

    @admin.action(description="Process again", permissions=["reprocess"])
    def process_again(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        for event in queryset.order_by("id"):
            inbox.reprocess(event)
            level = messages.WARNING if event.outcome == WebhookEvent.Outcome.FAILED else messages.SUCCESS
            self.message_user(request, f"{event}: {event.get_outcome_display().lower()} {event.reason}", level)


@admin.register(SnsTopic)
class SnsTopicAdmin(ReadOnlyAdmin):
    """Topics that asked to be heard, and the decision."""

    list_display = ("arn", "status", "requested_at", "confirmed_at", "unsubscribed_at", "error")
    list_filter = ("status",)
    fields = ("arn", "status", "requested_at", "confirmed_at", "unsubscribed_at", "error")
    actions = ("approve", "reject")

    def has_approve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("messaging.approve_snstopic")

    @admin.action(description="Approve: confirm the subscription and listen", permissions=["approve"])
    def approve(self, request: HttpRequest, queryset: QuerySet[SnsTopic]) -> None:
        for topic in queryset:
            topics.approve(topic)
        self.message_user(request, "Approved. The subscription is confirmed within seconds.")

    @admin.action(description="Reject: refuse what the topic sends", permissions=["approve"])
    def reject(self, request: HttpRequest, queryset: QuerySet[SnsTopic]) -> None:
        for topic in queryset:
            topics.reject(topic)
        self.message_user(request, "Rejected.")
