"""The outbox: what failed or waits and why, "send again" and "give up"."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.decorators import display

from console import channels, delivery_filters, formats, reasons, resending
from console.base import as_uuid
from console.filters import ChannelFilter, PortalFilter
from console.line_rows import without_secrets
from console.moments import SinceFilter, UntilFilter
from console.row_page import RowPageAdmin
from console.sieve import SievedChangeList
from messaging import failures, services
from messaging.models import Delivery

LANE_SHOWN = 10
TONES = {"open": "warning", "failed": "danger", "sent": "success", "repeated": "info"}


class DeliveryAdmin(RowPageAdmin):
    finds = gettext_lazy("an id of the message, the messenger's or Uspacy's")
    list_display = ("what", "state", "why", "chat_shown", "on_line", "created", "next_attempt")
    list_filter = (
        delivery_filters.StateFilter,
        delivery_filters.FailureFilter,
        delivery_filters.DestinationFilter,
        delivery_filters.KindFilter,
        ChannelFilter,
        PortalFilter,
        SinceFilter,
        UntilFilter,
    )
    list_filter_submit = True
    list_select_related = ("chat__line__portal",)
    list_before_template = "console/resend_offer.html"
    came_at = "created_at"
    page_template = "console/delivery.html"
    actions = page_actions = ("send_again", "give_up")

    class Media:
        css: ClassVar = {"all": ("console/outbox.css",)}

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.filter(Q(message__external_id=text) | Q(message__uspacy_id=as_uuid(text)))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[SievedChangeList]:
        return SievedChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return without_secrets(reasons.with_repeats(super().get_queryset(request)), "chat__line__")

    def get_urls(self) -> list[URLPattern]:
        resend = path(
            "send-again/", self.admin_site.admin_view(self.resend_view), name="messaging_delivery_resend"
        )
        return [resend, *super().get_urls()]

    # the list

    @admin.display(description=gettext_lazy("what"))
    def what(self, delivery: Delivery) -> str:
        return f"{delivery.get_kind_display()} → {delivery.get_destination_display()}"

    @display(description=gettext_lazy("state"), label=TONES)  # type: ignore[untyped-decorator]
    def state(self, delivery: Any) -> tuple[str, str]:
        if delivery.status == Delivery.Status.FAILED and delivery.was_repeated:
            return "repeated", _("Sent again since")
        return delivery.status, delivery.get_status_display()

    @admin.display(description=gettext_lazy("why"))
    def why(self, delivery: Delivery) -> SafeString | str:
        if delivery.status == Delivery.Status.SENT:
            return formats.MISSING
        if delivery.status == Delivery.Status.OPEN and (reason := delivery.waits_for):
            return Truncator(reason).chars(90)
        if not delivery.failure:
            return Truncator(delivery.error).chars(90) or formats.MISSING
        name = reasons.explained(delivery.failure).name
        return format_html("<strong>{}</strong> <small>{}</small>", name, Truncator(delivery.error).chars(90))

    @admin.display(description=gettext_lazy("chat"))
    def chat_shown(self, delivery: Delivery) -> str:
        return formats.link(delivery.chat)

    @admin.display(description=gettext_lazy("line"))
    def on_line(self, delivery: Delivery) -> SafeString:
        return channels.of_line(delivery.chat.line, str(delivery.chat.line.portal))

    @admin.display(description=gettext_lazy("since"))
    def created(self, delivery: Delivery) -> str:
        return formats.moment(delivery.created_at)

    @admin.display(description=gettext_lazy("next attempt"))
    def next_attempt(self, delivery: Delivery) -> str:
        waits = delivery.status == Delivery.Status.OPEN and not delivery.waits_for
        return formats.moment(delivery.available_at) if waits else formats.MISSING

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list; of failures, with the way to send all of them again."""
        offer = self.has_requeue_permission(request) and resending.query_of(request)
        response: HttpResponse = super().changelist_view(request, {"resend_query": offer, **(extra_context or {})})
        return response

    # the page of one

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        shown = Delivery.objects.select_related("message", "chat__line__portal")
        delivery = without_secrets(shown, "chat__line__").get(pk=row.pk)
        is_open, lane = delivery.status == Delivery.Status.OPEN, []
        if is_open:
            ahead = Delivery.objects.open().filter(
                chat=delivery.chat_id, destination=delivery.destination, id__lt=delivery.pk
            )
            lane = list(ahead.select_related("message").order_by("id")[: LANE_SHOWN + 1])
        fitting = "give_up" if is_open else "send_again"
        can = is_open or (delivery.status == Delivery.Status.FAILED and not row.was_repeated)
        return {
            "delivery": delivery,
            "title": self.what(delivery),
            "subtitle": f"#{delivery.pk}",
            "state": self.state(row),
            "tone": TONES[self.state(row)[0]],
            "wait": reasons.wait_of(delivery, lane[0] if lane else None) if is_open else None,
            "lane": lane[:LANE_SHOWN],
            "lane_is_longer": len(lane) > LANE_SHOWN,
            "page_actions": [button for button in self.buttons(request) if can and button[0] == fitting],
        }

    # what can be done

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "requeue_delivery")

    def has_give_up_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "give_up_delivery")

    @admin.action(description=gettext_lazy("Send again"), permissions=["requeue"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        chosen = list(queryset.select_related("message").order_by("id"))
        queued = [delivery for delivery in chosen if self.requeue(request, delivery, "Sent again.")]
        told = {"queued": len(queued), "chosen": len(chosen)}
        self.tell(
            request,
            _("%(queued)s of %(chosen)s are sent again; the others have not failed, or were sent again already.")
            % told
            if len(queued) < len(chosen)
            else ngettext("It is sent again.", "%(queued)s are sent again.", len(queued)) % told,
            ok=bool(queued),
        )

    @transaction.atomic
    def requeue(self, request: HttpRequest, delivery: Delivery, what: str) -> bool:
        """Send a delivery again and write down who did it; False if it has not failed."""
        if not services.requeue(delivery):
            return False
        self.record(request, delivery, what)
        return True

    @admin.action(description=gettext_lazy("Give up"), permissions=["give_up"])
    def give_up(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        chosen = list(queryset.select_related("message").order_by("id"))
        given_up = [delivery for delivery in chosen if self._give_up(request, delivery)]
        told = {"given_up": len(given_up), "chosen": len(chosen)}
        self.tell(
            request,
            _("%(given_up)s of %(chosen)s are given up; the others do not wait, or a worker is at them.") % told
            if len(given_up) < len(chosen)
            else ngettext("It is given up.", "%(given_up)s are given up.", len(given_up)) % told,
            ok=bool(given_up),
        )

    @transaction.atomic
    def _give_up(self, request: HttpRequest, delivery: Delivery) -> bool:
        if not failures.give_up(delivery, by=request.user.get_username()):
            return False
        self.record(request, delivery, "Given up.")
        return True

    def resend_view(self, request: HttpRequest) -> HttpResponse:
        """Ask before all failures of a filter are sent again, and do it, in batches."""
        return resending.view(self, request)
