"""What a delivery's final failure comes to: it is settled, and those whom it concerns are told."""

from django.db import transaction
from django.db.models.functions import Now

from messaging import announcer, dead_ends, services
from messaging.models import Delivery, DeliveryQuerySet, Message

GIVEN_UP = "GivenUp"


def settle(row: DeliveryQuerySet, delivery: Delivery) -> bool:
    """Mark a delivery as failed, as long as `row` finds it; False if it does not any more."""
    return bool(
        row.update(status=Delivery.Status.FAILED, error=delivery.error, failure=delivery.failure, settled_at=Now())
    )


def tell(delivery: Delivery, reason: str) -> None:
    """Let the message, and where it is an operator's, the operator know why, and what can be done about it.

    The caller holds the chat's lock.
    """
    message, text = delivery.message, dead_ends.told(delivery.failure, reason)
    match delivery.kind, delivery.destination:
        case Delivery.Kind.MESSAGE, Delivery.Destination.CUSTOMER:
            services.record_status(message, Message.Status.FAILED, error=text)
        case Delivery.Kind.MESSAGE, _:
            services.advance(message, Message.Status.FAILED, error=text)
        case ((Delivery.Kind.EDIT | Delivery.Kind.DELETE), Delivery.Destination.CUSTOMER):
            services.record_note(message, text)


@transaction.atomic(savepoint=False)
def give_up(delivery: Delivery, *, by: str) -> bool:
    """Settle a delivery that waits as failed, so that its lane goes on; False while a worker is at it.

    A worker that comes back after its lease finds it settled, and changes nothing.
    """
    services.lock(delivery.chat_id)
    before = f" Before: {delivery.error}" if delivery.error else ""
    delivery.error, delivery.failure = f"Given up by {by}.{before}", GIVEN_UP
    if not settle(Delivery.objects.open().at_rest().filter(pk=delivery.pk), delivery):
        return False
    tell(delivery, "")
    transaction.on_commit(lambda: announcer.announce(delivery.chat_id))
    return True
