"""Filters that several lists have: by messenger, and by portal."""

from typing import Any

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, TextFilter
from unfold.contrib.filters.forms import DropdownForm

from console import customers, lookups
from console.sieve import Sieve
from externallines.channels import CHANNELS
from externallines.models import ExternalLine
from messaging.models import Chat, Delivery, Message

TO_LINE = {ExternalLine: "", Chat: "line__", Message: "chat__line__", Delivery: "chat__line__"}
MOST_LINES = 1_000


class SieveDropdown(Sieve, DropdownFilter):
    """A filter without an index, as a choice in a form."""

    form_class = DropdownForm


class ChannelFilter(SieveDropdown):
    title = _("channel")
    parameter_name = "channel"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: type[Model], model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.field = f"{TO_LINE[model]}channel"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(slug, channel.label) for slug, channel in CHANNELS.items()]

    def condition(self, value: str) -> Q:
        return Q(**{self.field: value})


class PortalFilter(TextFilter):
    """Keep what belongs to portals, by a domain or its beginning; of chats and messages the newest."""

    title = _("portal (domain)")
    parameter_name = "portal"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        domain = (self.value() or "").strip().replace("\x00", "")
        return queryset.filter(_of_portals(queryset.model, domain)) if domain else queryset


def _of_portals(model: type[Model], domain: str) -> Q:
    if model is Chat:
        return Q(pk__in=customers.newest_of_portals(domain))
    if model is Message:
        return Q(pk__in=customers.newest_messages_of_portals(domain))
    lines = ExternalLine.objects.filter(portal__in=lookups.portals_named(domain))
    return Q(**{f"{TO_LINE[model]}pk__in": list(lines.values_list("pk", flat=True)[:MOST_LINES])})
