"""Which SNS topics we listen to: those of `SNS_TOPIC_ARNS`, and those that staff approved.

Anyone with an AWS account can send validly signed messages from a topic of their own, so a signature alone
proves nothing (uspacy-api.md 9.1).
"""

from typing import Any

import structlog
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from messaging.models import SnsTopic
from messaging.sns import Envelope
from portals import http
from portals.http import RemoteError

log = structlog.get_logger(__name__)


def is_trusted(arn: str) -> bool:
    return (
        arn in settings.SNS_TOPIC_ARNS
        or SnsTopic.objects.filter(arn=arn, status=SnsTopic.Status.APPROVED).exists()
    )


def is_set(topic: SnsTopic) -> bool:
    """Whether the settings trust a topic, whatever staff decide."""
    return topic.arn in settings.SNS_TOPIC_ARNS


def request_subscription(envelope: Envelope) -> None:
    """Note that a topic wants to be subscribed: a worker confirms a trusted one, staff decide on another."""
    topic, _created = SnsTopic.objects.get_or_create(
        arn=envelope.topic_arn,
        defaults={
            "status": SnsTopic.Status.APPROVED if is_trusted(envelope.topic_arn) else SnsTopic.Status.PENDING
        },
    )
    topic.subscribe_url = envelope.subscribe_url
    topic.requested_at = timezone.now()
    topic.confirmed_at = None
    topic.error = ""
    topic.save(update_fields=["subscribe_url", "requested_at", "confirmed_at", "error"])
    log.info("sns_subscription_requested", topic=topic.arn, status=topic.status)


def note_unsubscription(envelope: Envelope) -> None:
    """Flag that a topic will send no more: nobody re-subscribes by itself (uspacy-api.md 9.1)."""
    SnsTopic.objects.update_or_create(
        arn=envelope.topic_arn,
        defaults={"unsubscribed_at": timezone.now()},
        create_defaults={"status": SnsTopic.Status.APPROVED, "unsubscribed_at": timezone.now()},
    )
    log.error("sns_unsubscribed", topic=envelope.topic_arn)


def approve(topic: SnsTopic) -> None:
    """Trust a topic; a worker confirms its subscription within seconds."""
    topic.status = SnsTopic.Status.APPROVED
    topic.error = ""
    topic.save(update_fields=["status", "error"])


def reject(topic: SnsTopic) -> None:
    topic.status = SnsTopic.Status.REJECTED
    topic.save(update_fields=["status"])


def confirm_approved() -> None:
    """Visit the confirmation links of approved topics; what fails for a passing reason is tried again."""
    trusted = Q(status=SnsTopic.Status.APPROVED) | Q(arn__in=settings.SNS_TOPIC_ARNS)
    for topic in SnsTopic.objects.filter(trusted, confirmed_at=None, error="").exclude(subscribe_url=""):
        try:
            http.raise_for_status(http.call("GET", topic.subscribe_url))
        except RemoteError as exc:
            log.warning("sns_confirmation_failed", topic=topic.arn, reason=str(exc))
            if not exc.retryable:
                _settle(topic, error=str(exc))
            continue
        _settle(
            topic,
            status=SnsTopic.Status.APPROVED,
            confirmed_at=timezone.now(),
            unsubscribed_at=None,
            subscribe_url="",
        )
        log.info("sns_subscription_confirmed", topic=topic.arn)


def _settle(topic: SnsTopic, **changes: Any) -> None:
    """Note what came of a link, unless the topic has asked again meanwhile: then there is a newer one."""
    SnsTopic.objects.filter(pk=topic.pk, requested_at=topic.requested_at).update(**changes)
