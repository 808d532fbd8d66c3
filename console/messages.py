"""Messages: found by state, direction, channel, portal, time and ids, and all that is known of one."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from console import channels, conversation, formats, marks, masking
from console.base import as_id, as_uuid
from console.filters import ChannelFilter, PortalFilter, SieveDropdown
from console.line_rows import without_secrets
from console.moments import SinceFilter, UntilFilter
from console.row_page import RowPageAdmin
from console.sieve import SievedChangeList
from messaging.models import Message

SOME = 50  # messages with one id: a messenger's is one of its chat
SHOWN = 20  # deliveries and replies on the page of a message

DIRECTIONS = {
    Message.Direction.INBOUND.value: _("From the customer"),
    Message.Direction.OUTBOUND.value: _("To the customer"),
}


class StatusFilter(SieveDropdown):
    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(status.value, marks.TO_CUSTOMER[status]) for status in Message.Status]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        failed = Message.Status.FAILED  # for which there is an index
        return queryset.filter(status=failed) if self.value() == failed else queryset

    def condition(self, value: str) -> Q:
        return Q(status=value)


class DirectionFilter(SieveDropdown):
    title = _("direction")
    parameter_name = "direction"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(DIRECTIONS.items())

    def condition(self, value: str) -> Q:
        return Q(direction=value)


class MessageAdmin(RowPageAdmin):
    finds = _("an id of the message, the messenger's or Uspacy's")
    list_filter = (StatusFilter, DirectionFilter, ChannelFilter, PortalFilter, SinceFilter, UntilFilter)
    list_filter_submit = True
    came_at = "created_at"
    page_template = "console/message.html"

    class Media:
        css: ClassVar = {"all": ("console/chat.css",)}

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.filter(pk__in=with_id(text))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[SievedChangeList]:
        return SievedChangeList

    def get_list_display(self, request: HttpRequest) -> Sequence[str]:
        words = "words" if masking.may_read(request) else "length"
        return ("stored", "customer", words, "on_line", "way", "state", "error_shown")

    @admin.display(description=_("stored"))
    def stored(self, message: Message) -> str:
        return formats.moment(message.created_at)

    @admin.display(description=_("customer"))
    def customer(self, message: Message) -> SafeString:
        return format_html(
            '<a href="{}?around={}#m{}"><bdi>{}</bdi></a>',
            formats.page_url(message.chat),
            message.pk,
            message.pk,
            message.chat,
        )

    @admin.display(description=_("text"))
    def words(self, message: Message) -> str:
        return Truncator(" ".join(message.text.split())).chars(60) or formats.kind(message.type)

    @admin.display(description=_("text"))
    def length(self, message: Message) -> str:
        return masking.personal(message.text, readable=False) or formats.kind(message.type)

    @admin.display(description=_("line"))
    def on_line(self, message: Message) -> SafeString:
        return channels.of_line(message.chat.line, str(message.chat.line.portal))

    @admin.display(description=_("direction"))
    def way(self, message: Message) -> Any:
        return DIRECTIONS[message.direction]

    @display(  # type: ignore[untyped-decorator]
        description=_("status"),
        label={"queued": "warning", "sent": "info", "delivered": "success", "read": "success", "failed": "danger"},
    )
    def state(self, message: Message) -> tuple[str, Any]:
        mark = marks.mark_of(message)
        return mark.status, mark.words

    @admin.display(description=_("reason or note"))
    def error_shown(self, message: Message) -> str:
        return Truncator(message.error).chars(80)

    def page_context(self, request: HttpRequest, row: Message) -> dict[str, Any]:
        readable = masking.may_read(request)
        [bubble] = conversation.bubbles([row], readable=readable)
        deliveries = list(row.deliveries.all()[: SHOWN + 1])
        replies = list(row.replies.all()[: SHOWN + 1])
        return {
            "message": row,
            "chat": row.chat,
            "bubble": bubble,
            "mark": bubble.mark,
            "direction": DIRECTIONS[row.direction],
            "readable": readable,
            "deliveries": deliveries[:SHOWN],
            "has_more_deliveries": len(deliveries) > SHOWN,
            "replies": replies[:SHOWN],
            "has_more_replies": len(replies) > SHOWN,
            "may_send_again": request.user.has_perm("messaging.requeue_delivery"),
            "again": {delivery.pk for delivery in bubble.failed},
        }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        messages: QuerySet[Message] = super().get_queryset(request)
        return without_secrets(messages.select_related("parent", "chat__line__portal"), "chat__line__")


def with_id(text: str) -> list[int]:
    """Return the keys of messages with an id of ours, the messenger's or Uspacy's; each way has an index."""
    ids = set(Message.objects.filter(external_id=text).exclude(external_id="").values_list("pk", flat=True)[:SOME])
    earlier = Message.objects.filter(earlier_ids__contains=[text]).exclude(earlier_ids=[])
    ids.update(earlier.values_list("pk", flat=True)[:SOME])
    if (uspacy_id := as_uuid(text)) is not None:
        ids.update(Message.objects.filter(uspacy_id=uspacy_id).values_list("pk", flat=True)[:SOME])
    if (pk := as_id(text)) is not None:
        ids.update(Message.objects.filter(pk=pk).values_list("pk", flat=True))
    return list(ids)
