"""What becomes of a message, and of its chat, when the messenger has taken it or a part of it."""

from collections.abc import Callable, Collection
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Func, Value
from django.db.models.functions import Now
from django.utils import timezone

from externallines.channels.base import Receipt
from messaging import announcer, services, statements
from messaging.models import Chat, Delivery, Message


@transaction.atomic
def record_part(delivery: Delivery, part_id: str, *, still_ours: Callable[[], None]) -> None:
    """Remember a part that is not the last, so that a repeat goes on behind it. Raises what `still_ours` does."""
    services.lock(delivery.chat_id)
    still_ours()
    message = delivery.message
    _drop_echo(message, part_id, is_last=False)
    Message.objects.filter(pk=message.pk).exclude(earlier_ids__contains=[part_id]).update(
        earlier_ids=Func(F("earlier_ids"), Value(part_id), function="array_append")
    )
    message.earlier_ids = [*message.earlier_ids, part_id]


def record_receipt(message: Message, receipt: Receipt) -> None:
    """Store what the messenger said of a message it took; the caller holds the chat's lock."""
    statements.name_message(message, receipt.external_id)
    if message.external_id != receipt.external_id and _drop_echo(message, receipt.external_id, is_last=True):
        statements.name_message(message, receipt.external_id)
    is_news = services.record_status(message, services.STATUS_OF[receipt.status], error=receipt.note)
    if receipt.note and not is_news:
        services.record_note(message, receipt.note)
    if receipt.hold and is_news:
        Chat.objects.filter(pk=message.chat_id).update(
            held_until=Now() + timedelta(seconds=receipt.hold), held_by=message.pk
        )


def held_for(delivery: Delivery) -> float:
    """Return for how many seconds the customer gets nothing more, lest the messenger overtake itself."""
    until = delivery.chat.held_until
    if delivery.to_uspacy or until is None:
        return 0.0
    return max(0.0, (until - timezone.now()).total_seconds())


def release(chat: Chat, *, told: Collection[int]) -> None:
    """The messenger has told of messages: what waited behind one of them is due."""
    if not Chat.objects.filter(pk=chat.pk, held_by__in=told).update(held_until=None, held_by=None):
        return
    Delivery.objects.open().filter(
        chat=chat,
        destination=Delivery.Destination.CUSTOMER,
        attempts=0,  # no lease, and no failure that has to wait
    ).update(available_at=Now())
    transaction.on_commit(lambda: announcer.announce(chat.pk))


def _drop_echo(message: Message, part_id: str, *, is_last: bool) -> bool:
    """Make an id free for a message of ours; False if another message has it for good.

    A messenger may show us what we sent before it has answered, and we take that for something the business
    wrote elsewhere. It never goes into Uspacy, or goes away again; what was told of it since counts for ours, if
    that is its last part.
    """
    echo = Message.objects.filter(chat=message.chat_id, external_id=part_id).exclude(pk=message.pk)
    twin = echo.select_related("chat").first()
    if twin is None:
        return True
    if not (twin.is_outbound and services.is_echo(twin)):
        return False
    twin.replies.update(parent=message)
    if is_last and twin.status != Message.Status.SENT:
        services.record_status(message, Message.Status(twin.status), error=twin.error)
    untouched = Delivery.objects.open().filter(message=twin, kind=Delivery.Kind.MESSAGE, attempts=0)
    if untouched.delete()[0]:
        twin.delete()
    else:
        Message.objects.filter(pk=twin.pk).update(external_id=str(twin.uspacy_id))
        services.record_deletion(twin, towards=Delivery.Destination.USPACY)
    return True
