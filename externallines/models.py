"""External lines: the messenger accounts that portals have connected."""

import uuid

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portals.fields import EncryptedJSONField
from portals.models import Portal
from portals.words import words_of


class LineQuerySet(models.QuerySet["ExternalLine"]):
    def to_revive(self) -> "LineQuerySet":
        """Lines that went down with their portal, which is back."""
        return self.filter(suspended=True, portal__status=Portal.Status.ACTIVE)

    def to_unsubscribe(self) -> "LineQuerySet":
        """Disconnected lines whose messenger may still call us."""
        return self.filter(status=ExternalLine.Status.DISABLED, subscribed=True)


class ExternalLine(models.Model):
    """One messenger account of a portal, shown there as an external line.

    connect -> CONNECTING -> ACTIVE <-> ERROR (needs its owner: `reconnect`)
    any -> (disconnect, or uninstall of the portal) -> DISABLED -> (reconnect, or re-install) -> CONNECTING
    """

    class Status(models.TextChoices):
        CONNECTING = "connecting", _("Connecting")
        ACTIVE = "active", _("Active")
        ERROR = "error", _("Needs attention")
        DISABLED = "disabled", _("Disconnected")

    portal = models.ForeignKey(Portal, models.CASCADE, related_name="lines")
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)  # the public handle in URLs
    channel = models.CharField(max_length=20)
    name = models.CharField(max_length=255)
    icon = models.URLField(max_length=1000, blank=True, default="")
    phone_number = models.CharField(max_length=64, blank=True, default="")
    external_id = models.CharField(max_length=255)  # the account, as the channel names it
    uspacy_id = models.CharField(max_length=64, blank=True, default="")
    credentials = EncryptedJSONField(default=dict)
    status = models.CharField(max_length=10, choices=Status, default=Status.CONNECTING)
    suspended = models.BooleanField(default=False)  # disabled by the uninstall, not by the owner
    subscribed = models.BooleanField(default=False)  # the messenger calls our webhook
    activated_at = models.DateTimeField(null=True, blank=True)  # last seen to begin to work
    error = models.TextField(blank=True, default="")
    warning = models.TextField(blank=True, default="", db_default="")  # what its owner should mend in time
    checked_at = models.DateTimeField(null=True, blank=True)  # when its last check was due
    created_at = models.DateTimeField(default=timezone.now)

    objects = LineQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        permissions = [
            ("reconnect_externalline", "Can reconnect a line"),
            ("disconnect_externalline", "Can disconnect a line"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["portal", "external_id"], name="line_unique_external_id"),
            models.UniqueConstraint(
                fields=["portal", "uspacy_id"],
                condition=~models.Q(uspacy_id=""),
                name="line_unique_uspacy_id",
            ),
        ]
        indexes = [
            models.Index(fields=["portal"], condition=models.Q(suspended=True), name="line_suspended"),
            models.Index(
                fields=["id"],
                condition=models.Q(status="disabled", subscribed=True),
                name="line_to_unsubscribe",
            ),
            models.Index(fields=["checked_at"], condition=models.Q(status="active"), name="line_to_check"),
            models.Index(fields=["status", "-id"], name="line_status"),
            models.Index(fields=["-id"], condition=~models.Q(warning=""), name="line_warned"),
            GinIndex(words_of("name"), name="line_words"),
            models.Index(fields=["external_id"], name="line_external_id"),
            models.Index(fields=["uspacy_id"], condition=~models.Q(uspacy_id=""), name="line_uspacy_id"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.channel})"

    @property
    def is_closed(self) -> bool:
        """Disconnected by its owner: nothing is accepted or sent any more."""
        return self.status == self.Status.DISABLED and not self.suspended
