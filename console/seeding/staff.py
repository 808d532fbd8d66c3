"""Who works at the console, what they did, and which topics asked to be heard."""

from datetime import datetime, timedelta

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

from externallines.models import ExternalLine
from messaging.models import Delivery, SnsTopic
from portals.models import Portal

STAFF = (("olha", "Ольга", "Мельник", "Support"), ("thomas", "Thomas", "Reed", "Supervisor"))
DONE = (  # by whom, to the newest of what, and what
    ("olha", Delivery, "Sent again."),
    ("olha", ExternalLine, "Reconnected."),
    ("olha", Portal, "Connection checked: Uspacy answered."),
    ("thomas", SnsTopic, "Approved."),
    ("thomas", Portal, "Tokens renewed."),
    ("thomas", Delivery, "Given up."),
)
TOPICS = (
    ("arn:aws:sns:eu-central-1:210987654321:uspacy-messenger-ua", SnsTopic.Status.APPROVED),
    ("arn:aws:sns:eu-west-1:210987654321:uspacy-messenger-pl", SnsTopic.Status.PENDING),
    ("arn:aws:sns:us-east-1:666666666666:somebody-elses-topic", SnsTopic.Status.REJECTED),
)


def build(now: datetime) -> None:
    """Store topics, staff who cannot sign in until they get a password, and what they did today."""
    for age, (arn, status) in zip((400, 0, 9), TOPICS, strict=True):
        asked = now - timedelta(days=age, minutes=42)
        SnsTopic.objects.get_or_create(
            arn=arn,
            defaults={
                "status": status,
                "requested_at": asked,
                "confirmed_at": asked if status == SnsTopic.Status.APPROVED else None,
                # Only a pending one has a link, which leads nowhere.
                "subscribe_url": "https://sns.uspacy.test/confirm" if status == SnsTopic.Status.PENDING else "",
            },
        )
    for username, first, last, group in STAFF:
        user, created = User.objects.get_or_create(
            username=username, defaults={"first_name": first, "last_name": last, "is_staff": True}
        )
        if created:
            user.set_unusable_password()
            user.save()
            user.groups.set(Group.objects.filter(name=group))
    LogEntry.objects.bulk_create(
        _entry(username, row, what, now - timedelta(minutes=7 + 23 * number))
        for number, (username, model, what) in enumerate(DONE)
        if (row := model._default_manager.order_by("-pk").first())
    )


def _entry(username: str, row: Model, what: str, at: datetime) -> LogEntry:
    return LogEntry(
        action_time=at,
        user=User.objects.get(username=username),
        content_type=ContentType.objects.get_for_model(row),
        object_id=str(row.pk),
        object_repr=str(row)[:200],
        action_flag=CHANGE,
        change_message=what,
    )
