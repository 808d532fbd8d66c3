"""What happens to a portal: it installs, its tokens are renewed, it uninstalls."""

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from portals import statements, uspacy
from portals.http import Refused, RemoteError, Unauthorized
from portals.models import Portal, PortalEvent
from portals.signals import portal_installed, portal_uninstalled

log = structlog.get_logger(__name__)

RENEW_BEFORE_USE = timedelta(minutes=5)
REFRESH_TOKEN_LIFE = timedelta(days=30)  # uspacy-api.md 3


class RenewalInProgress(RemoteError):
    """Another process is renewing this portal's tokens right now."""

    retryable = True


class NeedsReinstall(RemoteError):
    """Uspacy gives us no token any more: the portal's messages wait until the app is installed again."""

    retryable = True


@transaction.atomic
def install(*, domain: str, token: str, refresh_token: str, expires_at: datetime) -> Portal:
    """Store the tokens of a portal that installed the app, for the first time or again."""
    now = timezone.now()
    portal, created = Portal.objects.select_for_update(no_key=True).get_or_create(domain=domain)
    portal.token, portal.refresh_token = token, refresh_token
    portal.expires_at, portal.refresh_expires_at = expires_at, now + REFRESH_TOKEN_LIFE
    portal.status = Portal.Status.ACTIVE
    portal.installed_at = portal.refreshed_at = now
    portal.uninstalled_at = None
    portal.last_error = ""
    portal.save()
    kind = PortalEvent.Kind.INSTALLED if created else PortalEvent.Kind.REINSTALLED
    PortalEvent.objects.create(portal=portal, kind=kind)
    portal_installed.send(sender=Portal, portal=portal)
    log.info("portal_installed", portal=domain, again=not created)
    return portal


@transaction.atomic
def uninstall(*, domain: str) -> Portal | None:
    """Forget a portal's tokens and disconnect its lines; None for a portal we do not know."""
    portal = Portal.objects.select_for_update(no_key=True).filter(domain=domain).first()
    if portal is None or portal.status == Portal.Status.UNINSTALLED:
        return portal
    portal.token = portal.refresh_token = ""
    portal.expires_at = portal.refresh_expires_at = None
    portal.status = Portal.Status.UNINSTALLED
    portal.uninstalled_at = timezone.now()
    portal.save()
    PortalEvent.objects.create(portal=portal, kind=PortalEvent.Kind.UNINSTALLED)
    portal_uninstalled.send(sender=Portal, portal=portal)
    log.info("portal_uninstalled", portal=domain)
    return portal


def api_url(portal: Portal) -> str:
    return str(settings.USPACY_API_URL).format(domain=portal.domain)


def get_client(portal: Portal) -> uspacy.UspacyClient:
    """Return a client with a valid token, which renews it once more if Uspacy answers 401.

    Raises RemoteError where the token has expired and cannot be renewed.
    """
    if not portal.is_active:
        raise NeedsReinstall(portal.last_error or "The app has to be installed again on this portal.")
    if portal.expires_within(RENEW_BEFORE_USE):
        try:
            portal = refresh_tokens(portal.pk, stale_token=portal.token)
        except RemoteError as exc:
            if not exc.retryable or isinstance(exc, NeedsReinstall) or portal.expires_within(timedelta(0)):
                raise  # else the old token serves a few minutes more
    return uspacy.UspacyClient(
        api_url(portal),
        portal.domain,
        portal.token,
        renew=lambda stale: refresh_tokens(portal.pk, stale_token=stale).token,
    )


def refresh_tokens(portal_id: int, *, stale_token: str | None = None) -> Portal:
    """Renew a portal's token pair and return the portal; a no-op if `stale_token` is no longer the current one.

    Raises RenewalInProgress, NeedsReinstall, or another RemoteError if Uspacy cannot be reached.
    """
    portal = Portal.objects.get(pk=portal_id)
    if portal.is_active and stale_token in (None, portal.token):
        portal = renew(portal.pk, portal.refreshed_at)
    if not portal.is_active:
        raise NeedsReinstall(portal.last_error or "The app has to be installed again on this portal.")
    return portal


@transaction.atomic
def renew(portal_id: int, refreshed_at: datetime | None) -> Portal:
    """Renew the token pair that a portal got at `refreshed_at`, and return the portal as it is then.

    A refresh token works once, and two renewals at a time would lock us out: whoever comes second is told so at
    once and does not wait. Nothing else waits for a renewal, and a new installation wins over it.

    Raises RenewalInProgress, or another RemoteError if Uspacy cannot be reached.
    """
    if not statements.claim_renewal(portal_id):
        raise RenewalInProgress("The portal's tokens are being renewed.", retry_after=1)
    portal = statements.read_portal(portal_id)
    if portal.is_active and portal.refreshed_at == refreshed_at:  # else another renewal has ended since
        _renew(portal)
    return portal


def _renew(portal: Portal) -> None:
    """Get a new pair from Uspacy and store it; a refusal of both ways marks the portal."""
    kind = PortalEvent.Kind.RENEWED
    try:
        pair = uspacy.refresh(api_url(portal), portal.domain, portal.refresh_token)
    except (Refused, Unauthorized) as refusal:
        log.warning("token_renewal_refused", portal=portal.domain, reason=str(refusal))
        kind = PortalEvent.Kind.SIGNED_IN
        try:
            pair = uspacy.app_sign_in(
                api_url(portal), portal.domain, settings.USPACY_CLIENT_ID, settings.USPACY_CLIENT_SECRETS[0]
            )
        except (Refused, Unauthorized) as second_refusal:
            _mark_needs_reinstall(portal, f"{refusal} {second_refusal}")
            return
    now = timezone.now()
    portal.token, portal.refresh_token = pair.token, pair.refresh_token
    portal.expires_at = now + timedelta(seconds=min(pair.expires_in, REFRESH_TOKEN_LIFE.total_seconds()))
    portal.refresh_expires_at = now + REFRESH_TOKEN_LIFE
    portal.refreshed_at, portal.last_error = now, ""
    if not statements.store_pair(portal, kind):
        portal.refresh_from_db()


def _mark_needs_reinstall(portal: Portal, reason: str) -> None:
    """Mark a portal, unless it was installed again or uninstalled meanwhile."""
    unchanged = Portal.objects.active().filter(pk=portal.pk, installed_at=portal.installed_at)
    error = f"Uspacy refused to renew the tokens; install the app again. {reason}"
    if unchanged.update(status=Portal.Status.NEEDS_REINSTALL, last_error=error):
        PortalEvent.objects.create(portal=portal, kind=PortalEvent.Kind.REFUSED, text=reason)
        log.error("portal_needs_reinstall", portal=portal.domain, reason=reason)
    portal.refresh_from_db()
