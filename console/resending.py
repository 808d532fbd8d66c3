"""Send all failures of a filter again: a page that says how many, and does so many at a time."""

import time
from typing import TYPE_CHECKING, Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from console.base import AFTER, BEFORE, as_id
from messaging.models import Delivery

if TYPE_CHECKING:
    from console.deliveries import DeliveryAdmin

COUNTED = 10_000  # more are "at least" so many
AT_ONCE = 1_000
RUN_SECONDS = 8.0  # what is left then waits for another click


def view(model_admin: "DeliveryAdmin", request: HttpRequest) -> HttpResponse:
    """Show how many failures the filter of the list holds; on a POST, send the oldest of them again."""
    if not model_admin.has_requeue_permission(request) or not model_admin.has_view_permission(request):
        raise PermissionDenied
    listed = query_of(request)
    changelist = f"{reverse('admin:messaging_delivery_changelist')}?{listed}"
    try:
        failures = _failures(model_admin, request)
    except IncorrectLookupParameters:
        return HttpResponseRedirect(changelist)
    # What fails once more while this goes on was not asked about.
    asked_until = as_id(request.POST.get("until", "")) or _newest(failures)
    failures = failures.filter(pk__lte=asked_until)
    if request.method == "POST":
        sent = _send_again(model_admin, request, failures)
        text = ngettext("%(count)s is sent again.", "%(count)s are sent again.", sent) % {"count": sent}
        model_admin.tell(request, text, ok=sent > 0)
        if not failures.exists():
            return HttpResponseRedirect(changelist)
    count = failures.values("pk")[: COUNTED + 1].count()
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": _("Send again what failed"),
        "changelist": changelist,
        "count": min(count, COUNTED),
        "is_more": count > COUNTED,
        "at_once": min(count, AT_ONCE),
        "until": asked_until,
    }
    return TemplateResponse(request, "console/resend.html", context)


def query_of(request: HttpRequest) -> str:
    """Return the filters of the list, whatever page of it is shown; failures only."""
    query = request.GET.copy()
    for cursor in (AFTER, BEFORE):
        query.pop(cursor, None)
    query["status__exact"] = Delivery.Status.FAILED
    return query.urlencode()


def _failures(model_admin: "DeliveryAdmin", request: HttpRequest) -> QuerySet[Delivery]:
    """Return all that the list's filters hold, on whatever page, and that can be sent again."""
    changelist: Any = model_admin.get_changelist_instance(request)
    narrowed = changelist.queryset.filter(*changelist.conditions())
    return Delivery.objects.resendable().filter(pk__in=narrowed.order_by().values("pk"))


def _newest(failures: QuerySet[Delivery]) -> int:
    return failures.order_by("-id").values_list("pk", flat=True).first() or 0


def _send_again(model_admin: "DeliveryAdmin", request: HttpRequest, failures: QuerySet[Delivery]) -> int:
    """Send the oldest again, in the order in which they were to be sent; return how many."""
    until = time.monotonic() + RUN_SECONDS
    sent = 0
    for delivery in failures.select_related("message").order_by("id")[:AT_ONCE]:
        if time.monotonic() > until:
            break
        sent += model_admin.requeue(request, delivery, "Sent again, with all of a filter.")
    return sent
