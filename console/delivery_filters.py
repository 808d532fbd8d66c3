"""By what the list of deliveries is narrowed."""

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter

from console.filters import SieveDropdown
from messaging.dead_ends import DEAD_ENDS
from messaging.models import Delivery

UNSETTLED, ALL = "unsettled", "all"
NARROWING = ("q", "message", "message__id__exact", "chat", "chat__id__exact")  # whoever names one wants all of it


def unsettled(**fields: str) -> Q:
    """Return the condition for what failed or waits: as two, of which each has an index of its own."""
    return Q(status=Delivery.Status.FAILED, **fields) | Q(status=Delivery.Status.OPEN, **fields)


class StateFilter(DropdownFilter):
    """What failed or waits, unless another state is chosen, or a message or chat is named."""

    title = gettext_lazy("state")
    parameter_name = "status__exact"
    all_option = None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        self.default = ALL if any(request.GET.get(name) for name in NARROWING) else UNSETTLED
        return [
            (UNSETTLED, _("Failed or waiting")),
            *Delivery.Status.choices,
            (ALL, _("All")),
        ]

    def value(self) -> str:
        chosen = super().value()
        return chosen if chosen in dict(self.lookup_choices) else self.default

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "all":
                return queryset
            case "unsettled":
                return queryset.filter(unsettled())
            case state:
                return queryset.filter(status=state)


class FailureFilter(DropdownFilter):
    """Keep what failed, or waits, for one kind of reason. One that was sent after all is not meant."""

    title = gettext_lazy("what went wrong")
    parameter_name = "failure"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return sorted(((kind, _(entry.name)) for kind, entry in DEAD_ENDS.items()), key=lambda choice: choice[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if (kind := self.value()) in DEAD_ENDS:
            return queryset.filter(unsettled(failure=kind))
        return queryset


class DestinationFilter(SieveDropdown):
    title = gettext_lazy("direction")
    parameter_name = "destination"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("customer", _("To the customer")), ("uspacy", _("To Uspacy"))]

    def condition(self, value: str) -> Q:
        return Q(destination=value)


class KindFilter(SieveDropdown):
    title = gettext_lazy("what")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return Delivery.Kind.choices

    def condition(self, value: str) -> Q:
        return Q(kind=value)
