"""What support staff see of portals, and what they can do about their connection to Uspacy."""

import time
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, F, Func, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.decorators import display

from console import portal_page
from console.base import ConsoleAdmin
from console.formats import MISSING, moment
from console.line_rows import with_last_message
from console.moments import first_since
from console.troubles import troubles
from externallines.models import ExternalLine
from messaging.models import Message
from portals import services
from portals.http import RemoteError
from portals.models import Portal

COUNTED = 1000  # messages of a portal in a list; a page of fifty portals counts no further
CALLED = 10  # portals that one action calls: each may take its seconds
EXPIRES_SOON = timedelta(hours=24)
STATUS_LABELS = {"active": "success", "needs_reinstall": "danger", "uninstalled": "default"}


class TokenFilter(admin.SimpleListFilter):
    title = gettext_lazy("token")
    parameter_name = "token_is"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("expired", gettext_lazy("expired")), ("expiring", gettext_lazy("expires within a day"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Portal]) -> QuerySet[Portal]:
        now = timezone.now()
        if self.value() == "expired":
            return queryset.filter(status=Portal.Status.ACTIVE, expires_at__lt=now)
        if self.value() == "expiring":
            return queryset.filter(
                status=Portal.Status.ACTIVE, expires_at__gte=now, expires_at__lt=now + EXPIRES_SOON
            )
        return queryset


class PortalAdmin(ConsoleAdmin):
    keyset = ("domain",)
    finds = gettext_lazy("the beginning of a domain")
    list_display = ("domain", "state", "token_life", "line_list", "messages_of_day", "last_message", "last_error")
    list_filter = ("status", TokenFilter)
    change_form_template = "console/portal.html"
    actions = page_actions = ("check_connection", "renew_token")
    fields = (
        "domain",
        "status",
        "installed_at",
        "uninstalled_at",
        "expires_at",
        "refresh_expires_at",
        "refreshed_at",
        "last_error",
    )

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.filter(domain__startswith=text.lower())

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_traffic(super().get_queryset(request).defer("token", "refresh_token"))

    @display(description=gettext_lazy("State"), label=STATUS_LABELS)  # type: ignore[untyped-decorator]
    def state(self, portal: Portal) -> tuple[str, str]:
        return portal.status, portal.get_status_display()

    @admin.display(description=gettext_lazy("Token expires"))
    def token_life(self, portal: Portal) -> str:
        return token_life(portal)

    @admin.display(description=gettext_lazy("Lines"))
    def line_list(self, portal: Any) -> str | SafeString:
        if not portal.line_count:
            return MISSING
        return format_html('<a href="{}">{}</a>', lines_url(portal), portal.line_count)

    @admin.display(description=gettext_lazy("Messages in 24 h"))
    def messages_of_day(self, portal: Any) -> str:
        return f"{COUNTED}+" if portal.message_count >= COUNTED else str(portal.message_count or MISSING)

    @admin.display(description=gettext_lazy("Last message"))
    def last_message(self, portal: Any) -> str:
        return moment(portal.last_message_at)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        portal = context["original"]
        context |= {
            "token_life": token_life(portal),
            "messages_of_day": self.messages_of_day(portal),
            "lines_url": lines_url(portal),
            "state_label": STATUS_LABELS[portal.status],
        }
        if request.user.has_perm("portals.view_portalevent"):
            context["history"] = portal_page.history(portal)
        if request.user.has_perm("externallines.view_externalline"):
            context["lines"] = portal_page.lines(portal)
        if request.user.has_perm("messaging.view_delivery"):
            context |= troubles(portal.lines.all())
        context["may_add_line"] = request.user.has_perm("externallines.add_externalline") and portal.is_active
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    # What can be done

    def has_check_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "check_portal")

    def has_renew_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "renew_portal")

    @admin.action(description=gettext_lazy("Check connection"), permissions=["check"])
    def check_connection(self, request: HttpRequest, queryset: QuerySet[Portal]) -> None:
        for portal in self.few(request, queryset, CALLED):
            began = time.monotonic()
            try:
                found = {line.id for line in services.get_client(portal).list_lines()}
            except RemoteError as exc:
                self.record(request, portal, f"Checked the connection: {exc}")
                self.tell(request, f"{portal}: {exc}", ok=False)
                continue
            seconds = f"{time.monotonic() - began:.1f}"
            self.record(request, portal, f"Checked the connection: answered in {seconds} s.")
            self._tell_lines(request, portal, found, seconds)

    @admin.action(description=gettext_lazy("Renew token now"), permissions=["renew"])
    def renew_token(self, request: HttpRequest, queryset: QuerySet[Portal]) -> None:
        for portal in self.few(request, queryset, CALLED):
            try:
                renewed = services.refresh_tokens(portal.pk)
            except RemoteError as exc:
                self.record(request, portal, f"Tried to renew the tokens: {exc}")
                self.tell(request, f"{portal}: {exc}", ok=False)
            else:
                self.record(request, portal, "Renewed the tokens.")
                told = {"portal": portal, "moment": f"{renewed.expires_at:%Y-%m-%d %H:%M} UTC"}
                self.tell(request, _("%(portal)s has new tokens, valid until %(moment)s.") % told)

    def _tell_lines(self, request: HttpRequest, portal: Portal, found: set[str], seconds: str) -> None:
        """Say what came back, and which of our working lines Uspacy does not have."""
        text = ngettext(
            "%(portal)s answered in %(seconds)s seconds and has %(count)s external line.",
            "%(portal)s answered in %(seconds)s seconds and has %(count)s external lines.",
            len(found),
        ) % {"portal": portal, "seconds": seconds, "count": len(found)}
        ours = portal.lines.filter(status=ExternalLine.Status.ACTIVE).exclude(uspacy_id__in=found)
        if missing := list(ours.values_list("name", flat=True)[:CALLED]):
            lost = _("Uspacy does not know these of our lines: %(lines)s. Reconnect them.")
            self.tell(request, f"{text} {lost % {'lines': ', '.join(missing)}}", ok=False)
        else:
            self.tell(request, text)


def with_traffic(portals: QuerySet[Any]) -> QuerySet[Any]:
    """Add how many lines and messages each portal has; PostgreSQL works it out for the rows of one page only."""
    lines = ExternalLine.objects.order_by().filter(portal=OuterRef("pk"))
    day_ago = timezone.now() - timedelta(days=1)
    first = first_since(Message, "created_at", day_ago)
    of_day = Message.objects.order_by().filter(
        chat__line__portal=OuterRef("pk"), chat__last_message_at__gte=day_ago, pk__gte=first
    )
    counted = ArraySubquery(of_day.values("pk")[:COUNTED])
    rows: QuerySet[Any] = portals.annotate(
        line_count=Coalesce(Subquery(lines.values("portal").annotate(count=Count("pk")).values("count")), 0),
        last_message_at=Subquery(
            with_last_message(lines)
            .order_by(F("last_message_at").desc(nulls_last=True))
            .values("last_message_at")[:1]
        ),
        message_count=Func(counted, function="CARDINALITY", output_field=IntegerField()),
    )
    return rows


def token_life(portal: Portal) -> str:
    """Show how long the token is still valid."""
    if portal.expires_at and portal.is_active and portal.expires_at < timezone.now():
        return format_html('<span class="console-bad">{} {}</span>', _("expired"), moment(portal.expires_at))
    return moment(portal.expires_at)


def lines_url(portal: Portal) -> str:
    return reverse("admin:externallines_externalline_changelist", query={"portal": portal.domain})
