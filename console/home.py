"""The first page: what needs somebody, and how much goes through.

What would have to be counted over millions of messages comes from `messaging.figures`; all else has an index.
"""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Min
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from config import health
from console import charts
from console.counts import ENOUGH, Listed, list_url, listed, may_see, number
from console.needs import Outbox, needs
from externallines.models import ExternalLine
from messaging.models import Delivery, Message
from portals.models import Portal

DAY = timedelta(days=1)


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return what the home page shows, of what this user may see."""
    user = request.user
    outbox = _outbox() if may_see(user, Delivery) else None
    return {
        **context,
        "title": _("Home"),
        "needs": needs(user, outbox),
        "outbox": outbox,
        "traffic": charts.traffic() if may_see(user, Message) or may_see(user, Delivery) else None,
        "states": [
            {"title": title, "counts": _by_status(model)}
            for title, model in ((_("Portals"), Portal), (_("Lines"), ExternalLine))
            if may_see(user, model)
        ],
    }


def _outbox() -> Outbox:
    # By the time they are due, which is an index: what waits for somebody is overdue for the longest.
    first = Delivery.objects.waiting().order_by("available_at")[: ENOUGH + 1]
    waiting = first.aggregate(count=Count("pk"), oldest=Min("created_at"))
    since = timezone.now().replace(second=0, microsecond=0) - DAY
    return Outbox(
        waiting=Listed(waiting["count"], list_url(Delivery, status__exact=Delivery.Status.OPEN)),
        oldest=waiting["oldest"],
        failed=listed(Delivery, status__exact=Delivery.Status.FAILED, settled_at__gte=since),
        beat_seen_at=health.beat_seen_at(),
    )


def _by_status(model: type[Portal] | type[ExternalLine]) -> list[dict[str, Any]]:
    rows = model._default_manager.order_by().values_list("status").annotate(Count("pk"))
    counts = dict(rows)
    return [
        {"label": label, "count": number(counts.get(status, 0)), "url": list_url(model, status__exact=status)}
        for status, label in model.Status.choices
    ]
