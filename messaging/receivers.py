"""What a portal's or a line's return means for the messages that wait for it."""

from typing import Any

from django.dispatch import receiver

from externallines.models import ExternalLine
from externallines.signals import line_connected
from messaging import delivery
from messaging.models import Delivery
from portals.models import Portal
from portals.signals import portal_installed


@receiver(portal_installed, dispatch_uid="messaging.release_portal")
def release_portal(*, portal: Portal, **kwargs: Any) -> None:
    delivery.release(Delivery.objects.filter(destination=Delivery.Destination.USPACY, chat__line__portal=portal))


@receiver(line_connected, dispatch_uid="messaging.release_line")
def release_line(*, line: ExternalLine, **kwargs: Any) -> None:
    delivery.release(Delivery.objects.filter(chat__line=line))
