"""Webhooks as they came, what became of them, and "process again"."""

import uuid
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from console import channels, formats, masking, payloads, reasons
from console.base import as_uuid
from console.filters import SieveDropdown
from console.line_rows import without_secrets
from console.moments import SinceFilter, UntilFilter
from console.row_page import RowPageAdmin
from console.sieve import SievedChangeList
from externallines.models import ExternalLine
from messaging import inbox
from messaging.models import USPACY, Chat, Message, WebhookEvent
from portals.payload import InvalidPayload, parse_json

AT_ONCE = 100
TONES = {"accepted": "success", "ignored": "info", "failed": "danger"}


class OutcomeFilter(SieveDropdown):
    title = gettext_lazy("outcome")
    parameter_name = "outcome__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return WebhookEvent.Outcome.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        failed = WebhookEvent.Outcome.FAILED  # for which there is an index
        return queryset.filter(outcome=failed) if self.value() == failed else queryset

    def condition(self, value: str) -> Q:
        return Q(outcome=value)


class SourceFilter(SieveDropdown):
    title = gettext_lazy("source")
    parameter_name = "from"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("uspacy", _("Uspacy")), ("lines", _("Messengers"))]

    def condition(self, value: str) -> Q:
        return Q(source=USPACY) if value == "uspacy" else ~Q(source=USPACY)


class EventChangeList(SievedChangeList):
    """A list that knows the lines that its events came from, and leaves their payloads where they are."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        events: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        return events if request.method == "POST" else events.defer("payload", "error")  # actions need them

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        keys = {key for event in self.result_list if (key := as_uuid(event.source))}
        lines = {str(line.key): line for line in without_secrets(ExternalLine.objects.filter(key__in=keys))}
        for event in self.result_list:
            event.line = lines.get(event.source)


class WebhookEventAdmin(RowPageAdmin):
    finds = gettext_lazy(
        "the key of a line, Uspacy's id of an event, or both a line's key and its messenger's id of an event"
    )
    list_display = ("key_shown", "came_from", "outcome_shown", "reason_shown", "received")
    list_filter = (OutcomeFilter, SourceFilter, SinceFilter, UntilFilter)
    list_filter_submit = True
    came_at = "received_at"
    page_template = "console/event.html"
    actions = page_actions = ("process_again",)

    class Media:
        css: ClassVar = {"all": ("console/outbox.css",)}

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        source, _space, key = text.partition(" ")
        if key:
            return queryset.filter(source=source, key=key.strip())
        return queryset.filter(Q(source=text) | Q(source=USPACY, key=text))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[EventChangeList]:
        return EventChangeList

    # the list

    @admin.display(description=gettext_lazy("event"))
    def key_shown(self, event: WebhookEvent) -> str:
        return Truncator(event.key).chars(40)

    @admin.display(description=gettext_lazy("source"))
    def came_from(self, event: Any) -> SafeString | str:
        if event.is_from_uspacy:
            return "Uspacy"
        if event.line is None:
            return format_html("{} <small>{}</small>", _("A line that is gone"), event.source)
        return channels.of_line(event.line)

    @display(description=gettext_lazy("outcome"), label=TONES)  # type: ignore[untyped-decorator]
    def outcome_shown(self, event: WebhookEvent) -> tuple[str, str]:
        return event.outcome, event.get_outcome_display()

    @admin.display(description=gettext_lazy("reason"))
    def reason_shown(self, event: WebhookEvent) -> str:
        if event.outcome == WebhookEvent.Outcome.FAILED:
            return reasons.explained("EventFailed").name
        return _(event.reason) or formats.MISSING

    @admin.display(description=gettext_lazy("received"))
    def received(self, event: WebhookEvent) -> str:
        return formats.moment(event.received_at)

    # the page of one

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        readable = masking.may_read(request)
        key = as_uuid(row.source)
        lines = without_secrets(ExternalLine.objects.select_related("portal"))
        row.line = lines.filter(key=key).first() if key else None
        failed = row.outcome == WebhookEvent.Outcome.FAILED
        return {
            "event": row,
            "title": _("Webhook event"),
            "subtitle": f"#{row.pk}",
            "tone": TONES[row.outcome],
            "outcome": self.outcome_shown(row)[1],
            "reason": _(row.reason),
            "source": self.came_from(row),
            "dead_end": reasons.explained("EventFailed") if failed else None,
            "payload": payloads.show(row.payload, readable=readable),
            "traceback": payloads.show_traceback(row.error, readable=readable),
            "told_of": told_of(row),
            "page_actions": self.buttons(request),
        }

    # what can be done

    def has_reprocess_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "reprocess_webhookevent")

    @admin.action(description=gettext_lazy("Process again"), permissions=["reprocess"])
    def process_again(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        for event in self.few(request, queryset.order_by("id"), AT_ONCE):
            inbox.reprocess(event)
            self.record(request, event, "Processed again.")
            ok = event.outcome != WebhookEvent.Outcome.FAILED
            self.tell(request, f"{event}: {event.get_outcome_display()} {_(event.reason)}", ok=ok)


def told_of(event: WebhookEvent) -> list[Message | Chat]:
    """Return the message, or else the chat, that an event of Uspacy names; messengers' name theirs differently."""
    if not event.is_from_uspacy:
        return []
    message_id, chat_id = _ids(event.payload)
    if message_id and (messages := list(Message.objects.filter(uspacy_id=message_id)[:5])):
        return [*messages]
    return [*Chat.objects.filter(uspacy_id=chat_id)] if chat_id else []


def _ids(payload: str) -> tuple[uuid.UUID | None, uuid.UUID | None]:
    """Return the ids of the message and the chat in an event of Uspacy, None where there are none."""
    try:
        match parse_json(payload):
            case {"data": {"entity": {**entity}}}:
                return as_uuid(str(entity.get("id"))), as_uuid(str(entity.get("chatId")))
    except InvalidPayload:
        pass
    return None, None
