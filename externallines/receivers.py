"""What a portal's life means for its lines."""

from typing import Any

from django.dispatch import receiver

from externallines import services
from portals.models import Portal
from portals.signals import portal_uninstalled


@receiver(portal_uninstalled, dispatch_uid="externallines.suspend_lines")
def suspend_lines(*, portal: Portal, **kwargs: Any) -> None:
    services.suspend_lines(portal)
