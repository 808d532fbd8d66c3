"""What support staff see of lines, and what they can do; credentials are never shown."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from console import channels
from console.base import as_uuid, back_of
from console.filters import ChannelFilter, PortalFilter
from console.formats import MISSING, link, moment
from console.line_pages import LinePages
from console.line_rows import LABELS, with_last_message, without_secrets
from console.lookups import ids_of
from console.sieve import SievedChangeList
from console.troubles import troubles
from externallines import services
from externallines.channels import CHANNELS
from externallines.models import ExternalLine
from portals.words import beginning_like, words_of

CALLED = 10  # lines that one action connects: each may take its seconds


def ways(text: str) -> Iterator[QuerySet[ExternalLine]]:
    """Yield the lines that a text names: by their name, an id of theirs, or their portal."""
    lines = ExternalLine.objects
    if words := beginning_like(text):
        yield lines.alias(words=words_of("name")).filter(words=words)
    yield lines.filter(external_id=text)
    yield lines.filter(uspacy_id=text).exclude(uspacy_id="")  # which the index asks for
    yield lines.filter(portal__domain__startswith=text.lower())
    if (key := as_uuid(text)) is not None:
        yield lines.filter(key=key)


class ExternalLineAdmin(LinePages):
    finds = gettext_lazy("a word of the name, an id of the line, or the beginning of its portal's domain")
    list_display = ("title", "portal_page", "state", "reason", "last_message", "webhook")
    list_filter = (("status", ChoicesDropdownFilter), ChannelFilter, PortalFilter)
    list_filter_submit = True
    list_select_related = ("portal",)
    change_form_template = "console/line.html"
    actions = page_actions = ("reconnect", "disconnect")
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

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.filter(pk__in=ids_of(ways(text)))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_last_message(without_secrets(super().get_queryset(request)))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[SievedChangeList]:
        return SievedChangeList

    def get_urls(self) -> list[URLPattern]:
        edit = path(
            "<int:pk>/edit/",
            self.admin_site.admin_view(self.edit_view),
            name="externallines_externalline_edit",
        )
        return [edit, *super().get_urls()]

    @admin.display(description=gettext_lazy("Line"))
    def title(self, line: ExternalLine) -> SafeString:
        return channels.badge(line.channel, line.name or channels.label(line.channel))

    @admin.display(description=gettext_lazy("Portal"))
    def portal_page(self, line: ExternalLine) -> SafeString | str:
        return link(line.portal)

    @display(description=gettext_lazy("State"), label=LABELS)  # type: ignore[untyped-decorator]
    def state(self, line: ExternalLine) -> tuple[str, str]:
        return line.status, line.get_status_display()

    @admin.display(description=gettext_lazy("Reason or warning"))
    def reason(self, line: ExternalLine) -> str:
        return line.error or line.warning or MISSING

    @admin.display(description=gettext_lazy("Last message"))
    def last_message(self, line: Any) -> str:
        return moment(line.last_message_at)

    @admin.display(description=gettext_lazy("Webhook"))
    def webhook(self, line: ExternalLine) -> SafeString:
        return format_html(
            '<button type="button" class="console-copy" data-copy="{}" data-copied="{}" title="{}"'
            ' aria-live="polite">{}</button>',
            services.webhook_url(line),
            _("Copied"),
            _("Copy the webhook URL of %(line)s") % {"line": line.name},
            _("Copy URL"),
        )

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        line = context["original"]
        context |= {
            "channel_label": channels.label(line.channel),
            "channel_symbol": channels.symbol(line.channel),
            "state_label": LABELS[line.status],
            "webhook_url": services.webhook_url(line),
            "shown": services.get_channel(line).show() if line.channel in CHANNELS else {},
            "may_edit": self.may_edit(request),
        }
        if request.user.has_perm("messaging.view_delivery"):
            context |= troubles(ExternalLine.objects.filter(pk=line.pk))
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    # What can be done

    def has_reconnect_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "reconnect_externalline")

    def has_disconnect_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "disconnect_externalline")

    @admin.action(description=gettext_lazy("Reconnect"), permissions=["reconnect"])
    def reconnect(self, request: HttpRequest, queryset: QuerySet[ExternalLine]) -> None:
        for line in self.few(request, queryset.defer(None).select_related("portal"), CALLED):
            self.reconnect_line(request, line)

    @admin.action(description=gettext_lazy("Disconnect"), permissions=["disconnect"])
    def disconnect(self, request: HttpRequest, queryset: QuerySet[ExternalLine]) -> HttpResponse | None:
        chosen = list(queryset.select_related("portal"))
        if "confirmed" not in request.POST:
            told = {"title": _("Disconnect"), "lines": chosen, "back": back_of(request)}
            return self.page(request, "console/disconnect.html", **told)
        for line in chosen:
            services.disconnect(line)
            self.record(request, line, "Disconnected.")
            self.tell(request, _("%(line)s is disconnected. Its history stays.") % {"line": line})
        return None
