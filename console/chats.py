"""Chats: found by who the customer is, and shown as the conversation."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from console import channels, conversation, customers, formats, keyset, lookups, masking, reasons
from console.base import AFTER, BEFORE
from console.filters import ChannelFilter, PortalFilter, SieveDropdown
from console.line_rows import without_secrets
from console.row_page import RowPageAdmin
from console.sieve import SievedChangeList
from externallines.channels import CHANNELS
from externallines.channels.meta import WINDOW, Meta
from messaging.models import Chat, Delivery, Message

LATELY = 20  # messages of a chat of which the list tells whether one failed
WAITS_AFTER = timedelta(minutes=1)  # what is younger is on its way


class BlockedFilter(SieveDropdown):
    title = _("customer")
    parameter_name = "blocked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", _("Has blocked the business"))]

    def condition(self, value: str) -> Q:
        return Q(blocked=True)


class ChatAdmin(RowPageAdmin):
    keyset = ("-last_message_at", "-id")
    finds = _("a name, phone number, username or id of the customer, or the beginning of a portal's domain")
    list_display = ("customer", "on_line", "portal", "last_message", "state")
    list_filter = (ChannelFilter, BlockedFilter, PortalFilter)
    list_filter_submit = True
    page_template = "console/chat.html"

    class Media:
        css: ClassVar = {"all": ("console/chat.css",)}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip().replace("\x00", "")
        if not text:
            return queryset, False
        ids = customers.find(text)
        if len(ids) >= lookups.MOST:
            self.tell(request, gettext("More chats match than are listed here: write more of the name."), ok=False)
        return queryset.filter(pk__in=ids), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[SievedChangeList]:
        return SievedChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Chat]:
        newest = Message.objects.filter(chat=OuterRef(OuterRef("pk"))).order_by("-id").values("pk")[:LATELY]
        waiting = Delivery.objects.open().filter(chat=OuterRef("pk"), created_at__lt=timezone.now() - WAITS_AFTER)
        chats = without_secrets(super().get_queryset(request).select_related("line__portal"), "line__")
        shown: QuerySet[Chat] = chats.annotate(
            has_failed=Exists(Message.objects.filter(pk__in=newest, status=Message.Status.FAILED)),
            is_waiting=Exists(waiting),
        )
        return shown

    @display(description=_("customer"), header=True)  # type: ignore[untyped-decorator]
    def customer(self, chat: Chat) -> list[str]:
        return [
            Truncator(str(chat)).chars(40),
            ", ".join(entry["value"] for entry in chat.meta[:2]),
            initial(chat),
        ]

    @admin.display(description=_("line"))
    def on_line(self, chat: Chat) -> SafeString:
        return channels.of_line(chat.line)

    @admin.display(description=_("portal"))
    def portal(self, chat: Chat) -> str:
        return formats.link(chat.line.portal)

    @admin.display(description=_("last message"))
    def last_message(self, chat: Chat) -> str:
        return formats.moment(chat.last_message_at)

    @admin.display(description=_("state"))
    def state(self, chat: Any) -> SafeString:
        marks = (
            ("failed", _("Failed lately"), chat.has_failed),
            ("waiting", _("Waits"), chat.is_waiting),
            ("blocked", _("Blocked us"), chat.blocked),
        )
        labels = ((kind, words) for kind, words, applies in marks if applies)
        return format_html_join(" ", '<span class="chat-label chat-label-{}">{}</span>', labels)

    def page_context(self, request: HttpRequest, row: Chat) -> dict[str, Any]:
        readable = masking.may_read(request)
        wanted = request.GET.get("q", "").strip().replace("\x00", "") if readable else ""
        place = {name: request.GET.get(name, "") for name in (AFTER, BEFORE)}
        try:
            if wanted:
                page = conversation.search(row, wanted, **place)
            else:
                page = conversation.read(row, readable=readable, around=request.GET.get("around", ""), **place)
        except keyset.InvalidCursor:
            page = conversation.read(row, readable=readable)
        return {
            "chat": row,
            "initial": initial(row),
            "page": page,
            "wanted": wanted,
            "readable": readable,
            "lanes": reasons.waiting(row),
            "window_ends": window_ends(row),
            "now": timezone.now(),
            "may_send_again": request.user.has_perm("messaging.requeue_delivery"),
            "is_elsewhere": any(place.values()) or "around" in request.GET,
            "subtitle": gettext("Chat"),
        }


def initial(chat: Chat) -> str:
    """Return the letter that stands for a customer's portrait."""
    return next((letter.upper() for letter in str(chat) if letter.isalnum()), "?")


def window_ends(chat: Chat) -> datetime | None:
    """Return until when the messenger lets the business write, None where it always does."""
    channel = CHANNELS.get(chat.line.channel)
    if channel is None or not issubclass(channel, Meta):
        return None
    return (chat.customer_wrote_at or datetime.min.replace(tzinfo=UTC)) + WINDOW
