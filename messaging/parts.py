"""The parts of a message: a messenger may have needed several messages for one of ours.

`Message.external_id` is its id of the last part, `earlier_ids` are those of the others.
"""

from django.db.models import QuerySet

from messaging.models import Delivery, Message


def find(messages: QuerySet[Message], part_id: str) -> Message | None:
    """Return the message that the messenger knows by this id, as a whole or as a part."""
    whole = messages.filter(external_id=part_id).first()
    return whole or messages.filter(earlier_ids__contains=[part_id]).exclude(earlier_ids=[]).first()


def is_being_sent(chat_id: int) -> bool:
    """Whether an operator's message may be on its way to the customer right now."""
    return (
        Delivery.objects.open()
        .filter(
            chat=chat_id,
            destination=Delivery.Destination.CUSTOMER,
            kind=Delivery.Kind.MESSAGE,
            attempts__gt=0,
        )
        .exists()
    )
