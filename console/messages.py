"""Messages: found by state, direction, channel, portal, time and ids, and all that is known of one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import connection
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import TextFilter
from unfold.decorators import display
from unfold.widgets import INPUT_CLASSES

from console import conversation, customers, formats, marks, masking
from console.base import as_uuid
from console.row_page import RowPageAdmin
from console.sieve import Sieve, SievedChangeList
from externallines.channels import CHANNELS
from messaging.models import Message

OF_PORTAL = 2_000  # messages that are looked through for a portal's
SOME = 50  # messages with one id: a messenger's is one of its chat
SHOWN = 20  # deliveries and replies on the page of a message

# Ids rise with time: twenty-odd looks at the index of ids find the first one that is not older than a moment.
FIRST_SINCE = """
    WITH RECURSIVE search (low, high) AS (
        SELECT min(id), max(id) + 1 FROM messaging_message
        UNION ALL
        SELECT
            CASE WHEN found.created_at < %(moment)s THEN found.id + 1 ELSE low END,
            CASE WHEN found.created_at < %(moment)s THEN high ELSE (low + high) / 2 END
        FROM search, LATERAL (
            SELECT id, created_at FROM messaging_message WHERE id >= (low + high) / 2 ORDER BY id LIMIT 1
        ) found
        WHERE low < high
    )
    SELECT max(low) FROM search
"""
NEWEST_OF_PORTALS = """
    SELECT message.id FROM unnest(%(chats)s::bigint[]) chat (id) CROSS JOIN LATERAL (
        SELECT id FROM messaging_message WHERE chat_id = chat.id ORDER BY id DESC LIMIT 200
    ) message ORDER BY message.id DESC LIMIT %(most)s
"""


DIRECTIONS = {
    Message.Direction.INBOUND.value: _("From the customer"),
    Message.Direction.OUTBOUND.value: _("To the customer"),
}


class StatusFilter(Sieve):
    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(status.value, marks.TO_CUSTOMER[status]) for status in Message.Status]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        failed = Message.Status.FAILED  # for which there is an index
        return queryset.filter(status=failed) if self.value() == failed else queryset

    def condition(self, value: str) -> Q:
        return Q(status=value)


class DirectionFilter(Sieve):
    title = _("direction")
    parameter_name = "direction"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(DIRECTIONS.items())

    def condition(self, value: str) -> Q:
        return Q(direction=value)


class ChannelFilter(Sieve):
    title = _("channel")
    parameter_name = "channel"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(slug, channel.label) for slug, channel in CHANNELS.items()]

    def condition(self, value: str) -> Q:
        return Q(chat__line__channel=value)


class PortalFilter(TextFilter):
    """Keep the newest messages of portals by the beginning of their domain."""

    title = _("portal")
    parameter_name = "portal"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        domain = (self.value() or "").strip().replace("\x00", "")
        return queryset.filter(pk__in=newest_of_portals(domain)) if domain else queryset


class MomentForm(forms.Form):
    """One field for a moment, which browsers have a widget for."""

    def __init__(self, name: str, label: str, data: dict[str, str | None]) -> None:
        super().__init__(data=data)
        attrs = {"type": "datetime-local", "class": " ".join(INPUT_CLASSES)}
        self.fields[name] = forms.CharField(label=label, required=False, widget=forms.TextInput(attrs=attrs))


class SinceFilter(TextFilter):
    """Keep what was stored since a moment: a range of ids, as nothing else is indexed."""

    title = _("time, from (UTC)")
    parameter_name = "since"
    form_class = MomentForm
    lookup = "pk__gte"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        try:
            moment = datetime.fromisoformat(self.value() or "")
        except ValueError:
            return queryset
        return queryset.filter(**{self.lookup: first_since(moment.replace(tzinfo=moment.tzinfo or UTC))})


class UntilFilter(SinceFilter):
    title = _("time, until (UTC)")
    parameter_name = "until"
    lookup = "pk__lt"


class MessageAdmin(RowPageAdmin):
    finds = _("an id of the message, the messenger's or Uspacy's")
    list_filter = (StatusFilter, DirectionFilter, ChannelFilter, PortalFilter, SinceFilter, UntilFilter)
    list_filter_submit = True
    list_select_related = ("chat__line__portal",)
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
        return Truncator(" ".join(message.text.split())).chars(60) or message.type.capitalize()

    @admin.display(description=_("text"))
    def length(self, message: Message) -> str:
        return masking.personal(message.text, readable=False) or message.type.capitalize()

    @admin.display(description=_("line"))
    def on_line(self, message: Message) -> SafeString:
        line = message.chat.line
        return format_html("{} <small>{}</small>", formats.link(line, line.name), line.portal)

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
        return messages.select_related("parent", "chat__line__portal")


def with_id(text: str) -> list[int]:
    """Return the keys of messages with an id of ours, the messenger's or Uspacy's; each way has an index."""
    ids = set(Message.objects.filter(external_id=text).exclude(external_id="").values_list("pk", flat=True)[:SOME])
    earlier = Message.objects.filter(earlier_ids__contains=[text]).exclude(earlier_ids=[])
    ids.update(earlier.values_list("pk", flat=True)[:SOME])
    if (uspacy_id := as_uuid(text)) is not None:
        ids.update(Message.objects.filter(uspacy_id=uspacy_id).values_list("pk", flat=True)[:SOME])
    if text.isdecimal() and len(text) < 19:
        ids.update(Message.objects.filter(pk=int(text)).values_list("pk", flat=True))
    return list(ids)


def newest_of_portals(domain: str) -> list[int]:
    """Return the keys of the newest messages in the newest chats of portals."""
    with connection.cursor() as cursor:
        cursor.execute(NEWEST_OF_PORTALS, {"chats": customers.newest_of_portals(domain), "most": OF_PORTAL})
        return [pk for (pk,) in cursor.fetchall()]


def first_since(moment: datetime) -> int:
    """Return the key of the first message that is not older than a moment, or one above all keys."""
    with connection.cursor() as cursor:
        cursor.execute(FIRST_SINCE, {"moment": moment})
        return int(cursor.fetchone()[0] or 0)
