"""Failed sign-ins: whose they are, the answer to who is locked out, and the list of them."""

import math
from ipaddress import ip_address
from typing import Any, cast

from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import F, Max, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from console.base import ConsoleAdmin
from console.formats import moment


def locked(request: HttpRequest, response: HttpResponse, credentials: dict[str, Any] | None) -> HttpResponse:
    """Answer a sign-in that is locked: by a page that says for how long."""
    [attempts] = AxesProxyHandler.get_implementation().get_user_attempts(request, credentials)
    newest = attempts.aggregate(newest=Max("attempt_time"))["newest"] or timezone.now()
    until = newest + settings.AXES_COOLOFF_TIME
    seconds = max(1, math.ceil((until - timezone.now()).total_seconds()))
    context = {
        **admin.site.each_context(request),
        "title": _("Sign-in is locked"),
        "until": until,
        "minutes": math.ceil(seconds / 60),
    }
    answer = render(request, "console/locked.html", context, status=429)
    answer.headers["Retry-After"] = str(seconds)
    answer.headers["Cache-Control"] = "no-store"
    return answer


class AccessAttemptAdmin(ConsoleAdmin):
    """Failures that count: those within the time of a lock. Older ones go with the next."""

    finds = gettext_lazy("a user's name or an address")
    list_display = ("username", "ip_address", "state", "failures_since_start", "last_failure", "user_agent")
    fields = ("username", "ip_address", "state", "failures_since_start", "last_failure", "user_agent", "path_info")
    actions = ("unlock",)

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        try:
            return queryset.filter(ip_address=str(ip_address(text)))
        except ValueError:
            return queryset.filter(username=text)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        since = timezone.now() - settings.AXES_COOLOFF_TIME
        rows = super().get_queryset(request).filter(attempt_time__gte=since)
        alike = AccessAttempt.objects.filter(
            attempt_time__gte=since, username=OuterRef("username"), ip_address=OuterRef("ip_address")
        )
        summed = alike.order_by().values("username").annotate(sum=Sum("failures_since_start")).values("sum")
        # Of all, whatever page or search shows; an attempt without an address is alone.
        failures = Coalesce(Subquery(summed), F("failures_since_start"))
        shown: QuerySet[Any] = rows.annotate(failures=failures)
        return shown

    @display(description=gettext_lazy("State"), label={"locked": "danger", "open": "default"})  # type: ignore[untyped-decorator]
    def state(self, attempt: Any) -> tuple[str, str]:
        if attempt.failures >= settings.AXES_FAILURE_LIMIT:
            return "locked", _("Locked")
        left = settings.AXES_FAILURE_LIMIT - attempt.failures
        return "open", _("%(number)s more until locked") % {"number": left}

    @admin.display(description=gettext_lazy("Last failure"))
    def last_failure(self, attempt: AccessAttempt) -> str:
        return moment(attempt.attempt_time)

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    @admin.action(description=gettext_lazy("Unlock"), permissions=["unlock"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[AccessAttempt]) -> None:
        for username, address in set(queryset.values_list("username", "ip_address")):
            AxesProxyHandler.reset_attempts(username=username, ip_address=address)
            told = {"user": username, "address": address}
            known = User.objects.filter(username=username).first()  # what is locked may be no one's name
            self.record(
                request, known or cast(User, request.user), f"Unlocked {username}'s sign-in from {address}."
            )
            self.tell(request, _("%(user)s can sign in from %(address)s again.") % told)
