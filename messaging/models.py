"""Chats, messages and the outbox."""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from externallines.models import ExternalLine
from portals.fields import EncryptedTextField
from portals.models import Portal
from portals.words import words_of

USPACY = "uspacy"  # the source of events that Uspacy's messenger sent


def id_list() -> "ArrayField[list[str], list[str]]":
    """Return a field for ids of a messenger. The database has its default too, for rows that older code writes."""
    return ArrayField(models.CharField(max_length=255), blank=True, default=list, db_default=[])


def by_time(field: str, *, name: str) -> BrinIndex:
    """Return an index for counting the rows of an hour, which lie together: it is tiny, and costs no writes."""
    return BrinIndex(fields=[field], name=name, pages_per_range=32, autosummarize=True)


class Chat(models.Model):
    """One customer on one line."""

    line = models.ForeignKey(ExternalLine, models.CASCADE, related_name="chats", db_index=False)  # see indexes
    external_id = models.CharField(max_length=255)  # the conversation, as the channel names it
    contact_id = models.CharField(max_length=255, blank=True, default="")  # the customer, likewise
    aliases = id_list()  # other ids of the conversation: see `messaging.chats`
    uspacy_id = models.UUIDField(unique=True)
    in_uspacy = models.BooleanField(default=False)  # Uspacy has this chat
    name = models.CharField(max_length=255, blank=True, default="")
    picture_url = models.TextField(blank=True, default="")
    picture = models.JSONField(null=True, blank=True)  # where the channel finds it, if it has no lasting URL
    meta = models.JSONField(blank=True, default=list)  # [{"type", "value"}], as Uspacy wants it
    blocked = models.BooleanField(default=False)  # by the customer, until they write again
    customer_wrote_at = models.DateTimeField(null=True, blank=True)  # their newest message, as the messenger tells
    held_until = models.DateTimeField(null=True, blank=True)  # the customer gets nothing before: `receipts`
    held_by = models.BigIntegerField(null=True, blank=True)  # the id of the message behind which the others wait
    last_message_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-last_message_at", "-id")
        constraints = [models.UniqueConstraint(fields=["line", "external_id"], name="chat_unique_external_id")]
        indexes = [
            models.Index(fields=["line", "-last_message_at", "-id"], name="chat_newest_of_line"),
            models.Index(fields=["-last_message_at", "-id"], name="chat_newest"),
            models.Index(fields=["contact_id", "line"], name="chat_of_contact"),
            models.Index(fields=["external_id"], name="chat_external_id"),
            GinIndex(words_of("name"), name="chat_words"),
            GinIndex(fields=["meta"], opclasses=["jsonb_path_ops"], name="chat_meta"),
            GinIndex(fields=["aliases"], condition=~Q(aliases=[]), name="chat_aliases"),
        ]

    def __str__(self) -> str:
        return self.name or self.external_id


class Message(models.Model):
    """One message of a chat, in either direction.

    queued -> sent -> delivered -> read, never back.
    queued or sent -> failed; a failed one may still turn out delivered or read, or be sent again (queued).
    """

    class Direction(models.TextChoices):
        INBOUND = "in", _("From the customer")
        OUTBOUND = "out", _("From the operator")

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        SENT = "sent", _("Sent")
        DELIVERED = "delivered", _("Delivered")
        READ = "read", _("Read")
        FAILED = "failed", _("Failed")

    chat = models.ForeignKey(Chat, models.CASCADE, related_name="messages", db_index=False)  # see indexes
    direction = models.CharField(max_length=3, choices=Direction)
    uspacy_id = models.UUIDField()
    external_id = models.CharField(max_length=255, blank=True, default="")  # the messenger's; ours once sent
    earlier_ids = id_list()  # the messenger's of all parts but the last, where it needed several
    type = models.CharField(max_length=10, default="MESSAGE")  # Uspacy's: MESSAGE AUDIO VOICE VIDEO GIF
    text = models.TextField(blank=True, default="")  # Markdown
    author_id = models.CharField(max_length=255, blank=True, default="")  # operator's or customer's id
    parent = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="replies")
    status = models.CharField(max_length=9, choices=Status, default=Status.QUEUED)
    error = models.TextField(blank=True, default="")  # why it failed, or a note to the operator
    sent_at = models.DateTimeField(default=timezone.now)  # by its author, as the remote tells
    uspacy_parts = models.PositiveSmallIntegerField(default=1, db_default=1)  # several for a very long text
    edited_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    thanks = models.JSONField(null=True, blank=True)  # what the messenger wants to hear once Uspacy has it
    created_at = models.DateTimeField(default=timezone.now)
    # The webhook event that told of it, which is pruned sooner: nothing holds the two together.
    event = models.ForeignKey(
        "WebhookEvent",
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )

    class Meta:
        ordering = ("-id",)
        permissions = [("read_message", "Can read what customers and operators wrote")]
        constraints = [
            models.UniqueConstraint(fields=["uspacy_id", "chat"], name="message_unique_uspacy_id"),
            models.UniqueConstraint(
                fields=["external_id", "chat"],
                condition=~Q(external_id=""),  # an operator's message gets its own only once sent
                name="message_unique_external_id",
            ),
        ]
        indexes = [
            models.Index(fields=["chat", "-id"], name="message_newest_of_chat"),
            models.Index(fields=["-id"], condition=Q(status="failed"), name="message_failed"),
            models.Index(fields=["-id"], condition=Q(status="queued"), name="message_queued"),
            GinIndex(fields=["earlier_ids"], condition=~Q(earlier_ids=[]), name="message_earlier_ids"),
            by_time("created_at", name="message_created"),
        ]

    def __str__(self) -> str:
        return f"{self.get_direction_display()} #{self.pk}"

    @property
    def is_outbound(self) -> bool:
        return self.direction == self.Direction.OUTBOUND


class Attachment(models.Model):
    """A file of a message. We know where it comes from; its bytes are never kept."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="attachments")
    name = models.CharField(max_length=255)
    mime_type = models.CharField(max_length=255, default="application/octet-stream")
    size = models.BigIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    kind = models.CharField(max_length=5, default="file")  # image video audio voice file
    source = models.JSONField(default=dict)  # where the bytes are: the channel's terms, or Uspacy's url
    uspacy_file = models.JSONField(null=True, blank=True)  # Uspacy's file object, once it has the file
    error = models.TextField(blank=True, default="")  # why it could not be transferred
    retry_at = models.DateTimeField(null=True, blank=True)  # its text went without it, but it may still follow

    class Meta:
        ordering = ("id",)
        indexes = [models.Index(fields=["retry_at"], condition=Q(retry_at__isnull=False), name="attachment_retry")]

    def __str__(self) -> str:
        return self.name


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def open(self) -> "DeliveryQuerySet":
        return self.filter(status=Delivery.Status.OPEN)

    def heads(self) -> "DeliveryQuerySet":
        """The oldest open delivery of each lane."""
        older = Delivery.objects.open().filter(
            chat=OuterRef("chat"), destination=OuterRef("destination"), id__lt=OuterRef("id")
        )
        return self.open().filter(~Exists(older))

    def at_rest(self) -> "DeliveryQuerySet":
        """Those that no worker has in its hands."""
        return self.exclude(in_hand=True, available_at__gt=Now())

    def resendable(self) -> "DeliveryQuerySet":
        """Those that failed and were not sent again since."""
        newer = Delivery.objects.filter(message=OuterRef("message"), kind=OuterRef("kind"), id__gt=OuterRef("id"))
        return self.filter(~Exists(newer), status=Delivery.Status.FAILED)

    def due(self, since: timedelta = timedelta(0)) -> "DeliveryQuerySet":
        """Open ones whose time has come, `since` ago or more."""
        return self.waiting().filter(available_at__lte=Now() - since)

    def waiting(self) -> "DeliveryQuerySet":
        """Open ones, by the index of their times."""
        return self.open().filter(settled_at=None)

    def deliverable(self) -> "DeliveryQuerySet":
        """Those that wait for no person's help (the query for an empty `Delivery.waits_for`)."""
        line_answers = Q(chat__line__status=ExternalLine.Status.ACTIVE) | Q(
            chat__line__status=ExternalLine.Status.DISABLED, chat__line__suspended=False
        )
        return self.filter(
            Q(destination=Delivery.Destination.USPACY) & ~Q(chat__line__uspacy_id="")
            | Q(destination=Delivery.Destination.CUSTOMER) & line_answers,
            chat__line__portal__status=Portal.Status.ACTIVE,
        )


class Delivery(models.Model):
    """One thing that has to reach one destination: a row of the outbox.

    The rows of a lane, one chat towards one destination, are delivered in the order of their ids. Only the
    oldest open row may be claimed, by one conditional UPDATE that raises `attempts` (a fencing token: the
    claim of a worker that lost it settles nothing) and moves `available_at` (a lease: the claim of a killed
    worker lapses). A settled row never opens again; to send again is a new row.
    """

    class Destination(models.TextChoices):
        USPACY = "uspacy", _("Uspacy")
        CUSTOMER = "customer", _("Customer")

    class Kind(models.TextChoices):
        MESSAGE = "message", _("Message")
        EDIT = "edit", _("Edit")
        DELETE = "delete", _("Deletion")
        STATUS = "status", _("Status")

    class Status(models.TextChoices):
        OPEN = "open", _("Waiting")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")

    message = models.ForeignKey(Message, models.CASCADE, related_name="deliveries")
    chat = models.ForeignKey(Chat, models.CASCADE, related_name="deliveries")  # with destination: the lane
    destination = models.CharField(max_length=8, choices=Destination)
    kind = models.CharField(max_length=7, choices=Kind, default=Kind.MESSAGE)
    status = models.CharField(max_length=6, choices=Status, default=Status.OPEN)
    attempts = models.PositiveIntegerField(default=0)
    available_at = models.DateTimeField(db_default=Now())  # next attempt, or end of the lease
    error = models.TextField(blank=True, default="")  # of the last attempt
    failure = models.CharField(max_length=50, blank=True, default="", db_default="")  # its kind
    in_a_row = models.PositiveIntegerField(default=0, db_default=0)  # failures of that kind, up to now
    ambiguous = models.BooleanField(default=False, db_default=False)  # an earlier attempt may have arrived
    # Of a worker, as long as its lease lasts. The database's default is for rows of older code, whose claims do
    # not tell.
    in_hand = models.BooleanField(default=False, db_default=True)
    created_at = models.DateTimeField(db_default=Now())
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    due_in: timedelta  # where a query adds it
    has_files = True  # its message; where a query knows better
    is_last = False  # nothing else of its chat is open; known when it was settled

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "deliveries"
        permissions = [
            ("requeue_delivery", "Can send a failed delivery again"),
            ("give_up_delivery", "Can give up a delivery that waits"),
        ]
        indexes = [
            models.Index(fields=["chat", "destination", "id"], condition=Q(status="open"), name="delivery_lane"),
            # By a condition of its own: no prepared plan for a lane may take it, and read through all that waits.
            models.Index(fields=["available_at"], condition=Q(settled_at=None), name="delivery_unsettled"),
            models.Index(fields=["-id"], condition=Q(status="failed"), name="delivery_failed"),
            models.Index(fields=["-settled_at"], condition=Q(status="failed"), name="delivery_failed_at"),
            by_time("settled_at", name="delivery_settled"),
            models.Index(fields=["failure", "-id"], condition=Q(status="failed"), name="delivery_failure"),
            models.Index(fields=["chat", "-id"], condition=Q(status="failed"), name="delivery_failed_of_chat"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} → {self.get_destination_display()} #{self.pk}"

    @property
    def to_uspacy(self) -> bool:
        return self.destination == self.Destination.USPACY

    @property
    def triable_since(self) -> datetime:
        """Since when it could be tried: the time until portal or line were mended does not count."""
        line = self.chat.line
        return max(filter(None, (self.created_at, line.portal.installed_at, line.activated_at)))

    @property
    def given_up_at(self) -> datetime | None:
        """Return when it is given up if it cannot be settled until then; None where it waits for ever."""
        line = self.chat.line
        may_wait = not line.portal.is_active or line.suspended or (self.to_uspacy and not line.uspacy_id)
        return None if may_wait else self.triable_since + timedelta(hours=settings.DELIVERY_MAX_AGE_HOURS)

    @property
    def waits_for(self) -> str:
        """Return what a person has to mend before this can be tried, "" if nothing (as `deliverable`)."""
        line, portal = self.chat.line, self.chat.line.portal
        if not portal.is_active:
            return gettext("The app has to be installed again on %(portal)s.") % {"portal": portal.domain}
        if self.to_uspacy:
            if line.uspacy_id:
                return ""
            return gettext("The line %(line)s has to be connected to Uspacy.") % {"line": line.name}
        if line.status == line.Status.ACTIVE or line.is_closed:
            return ""
        why = line.error or line.get_status_display().lower()
        return gettext("The line %(line)s needs attention: %(why)s") % {"line": line.name, "why": why}


class HourlyFigures(models.Model):
    """What an hour brought in one direction. Beat counts it (`messaging.figures`), so that no page has to."""

    hour = models.DateTimeField()  # its beginning
    direction = models.CharField(max_length=3, choices=Message.Direction)
    messages = models.PositiveIntegerField(default=0)  # that were stored
    first_id = models.BigIntegerField(null=True, blank=True)  # of these messages: a list finds them by their key
    last_id = models.BigIntegerField(null=True, blank=True)
    times = models.JSONField(default=dict, blank=True)  # messages delivered that way, by the step of their time
    counted_at = models.DateTimeField()

    class Meta:
        default_permissions = ()  # shown to those who may see messages or deliveries
        constraints = [models.UniqueConstraint(fields=["hour", "direction"], name="figures_unique_hour")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00} {self.direction}"


class WebhookEvent(models.Model):
    """One webhook as it came, and what became of it: the evidence, and the guard against repeats."""

    class Outcome(models.TextChoices):
        ACCEPTED = "accepted", _("Accepted")
        IGNORED = "ignored", _("Ignored")
        FAILED = "failed", _("Failed")

    source = models.CharField(max_length=64)  # "uspacy", or the key of a line
    key = models.CharField(max_length=255)  # the sender's id of the event
    payload = models.TextField()  # JSON
    received_at = models.DateTimeField(default=timezone.now)
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.ACCEPTED)
    reason = models.CharField(max_length=255, blank=True, default="")  # why it was ignored
    error = models.TextField(blank=True, default="")  # traceback of a failure of ours
    awaits = models.CharField(max_length=255, blank=True, default="")  # the messenger's id of an unknown message

    class Meta:
        ordering = ("-id",)
        permissions = [("reprocess_webhookevent", "Can process a webhook event again")]
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="event_unique_key")]
        indexes = [
            models.Index(fields=["received_at"], name="event_received"),
            models.Index(fields=["-id"], condition=Q(outcome="failed"), name="event_failed"),
            models.Index(fields=["source", "awaits"], condition=~Q(awaits=""), name="event_awaits_message"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.key}"

    @property
    def is_from_uspacy(self) -> bool:
        return self.source == USPACY


class SnsTopic(models.Model):
    """An Amazon SNS topic that asked to be subscribed, and whether we listen to it."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Waiting for approval")
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")

    arn = models.CharField(max_length=512, unique=True)
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    subscribe_url = EncryptedTextField(blank=True, default="")  # whoever has it can confirm
    requested_at = models.DateTimeField(default=timezone.now)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    unsubscribed_at = models.DateTimeField(null=True, blank=True)  # set: Uspacy's events have stopped
    error = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("-id",)
        verbose_name = "SNS topic"
        permissions = [("approve_snstopic", "Can approve or reject an SNS topic")]

    def __str__(self) -> str:
        return self.arn
