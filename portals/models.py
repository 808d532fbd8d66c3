"""Portals: the customer workspaces that installed our app, and their tokens."""

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portals.fields import EncryptedTextField


class PortalQuerySet(models.QuerySet["Portal"]):
    def active(self) -> "PortalQuerySet":
        """Portals we may call."""
        return self.filter(status=Portal.Status.ACTIVE)

    def expiring_before(self, moment: datetime) -> "PortalQuerySet":
        return self.filter(expires_at__lt=moment)

    def renewed_before(self, moment: datetime) -> "PortalQuerySet":
        return self.exclude(refreshed_at__gte=moment)


class Portal(models.Model):
    """One customer workspace, named by its full host (`acme.uspacy.ua`).

    install -> ACTIVE -> (renewal refused) -> NEEDS_REINSTALL -> install -> ACTIVE
    ACTIVE or NEEDS_REINSTALL -> (uninstall) -> UNINSTALLED -> install -> ACTIVE
    """

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        NEEDS_REINSTALL = "needs_reinstall", _("Needs re-install")
        UNINSTALLED = "uninstalled", _("Uninstalled")

    domain = models.CharField(max_length=253, unique=True)
    token = EncryptedTextField(blank=True, default="")
    refresh_token = EncryptedTextField(blank=True, default="")
    expires_at = models.DateTimeField(null=True, blank=True)
    refresh_expires_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=15, choices=Status, default=Status.ACTIVE)
    installed_at = models.DateTimeField(default=timezone.now)
    uninstalled_at = models.DateTimeField(null=True, blank=True)
    refreshed_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, default="")

    objects = PortalQuerySet.as_manager()

    class Meta:
        ordering = ("domain",)
        permissions = [
            ("check_portal", "Can call a portal to check the connection"),
            ("renew_portal", "Can renew a portal's tokens"),
        ]
        indexes = [models.Index(fields=["status", "expires_at"], name="portal_status_expires")]

    def __str__(self) -> str:
        return self.domain

    @property
    def is_active(self) -> bool:
        return self.status == self.Status.ACTIVE

    @property
    def is_authenticated(self) -> bool:
        """A portal is the "user" of the portal-facing API."""
        return True

    def expires_within(self, span: timedelta) -> bool:
        return self.expires_at is None or self.expires_at - timezone.now() < span


class PortalEvent(models.Model):
    """One step in a portal's history, for support staff."""

    class Kind(models.TextChoices):
        INSTALLED = "installed", _("Installed")
        REINSTALLED = "reinstalled", _("Installed again")
        RENEWED = "renewed", _("Tokens renewed")
        SIGNED_IN = "signed_in", _("Signed in with the app's credentials")
        REFUSED = "refused", _("Renewal refused")
        UNINSTALLED = "uninstalled", _("Uninstalled")

    portal = models.ForeignKey(Portal, models.CASCADE, related_name="events")
    kind = models.CharField(max_length=12, choices=Kind)
    text = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.get_kind_display()
