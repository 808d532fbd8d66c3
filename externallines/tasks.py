"""Wake-ups around lines."""

import structlog
from celery import shared_task

from externallines import services
from externallines.models import ExternalLine
from portals.http import RemoteError

log = structlog.get_logger(__name__)

LINES_PER_RUN = 100


@shared_task
def tend_lines() -> None:
    """Every few seconds: bring lines back with their portal, and remove webhooks of disconnected ones."""
    for line in ExternalLine.objects.to_revive().select_related("portal")[:LINES_PER_RUN]:
        services.reconnect(line)
    for line in ExternalLine.objects.to_unsubscribe()[:LINES_PER_RUN]:
        try:
            services.unsubscribe(line)
        except RemoteError as exc:
            log.warning("webhook_not_removed_yet", line_id=line.pk, reason=str(exc))
