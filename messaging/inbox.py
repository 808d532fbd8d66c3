"""Webhooks in: stored with all that comes of them, in one transaction that is committed before we answer.

Interpretation is synchronous, so that order of arrival is order of rows. What we cannot interpret is kept as
failed and can be processed again; a fault of the database rolls everything back and makes the sender repeat.

Most of what comes needs no decision between two statements, so one is tried first, which is a transaction by
itself and stores nothing if it does not fit (`express`). All else is stored, then interpreted.
"""

import json
import traceback
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from externallines.channels.base import Headers
from externallines.models import ExternalLine
from externallines.services import activate, get_channel
from messaging import customers, operators, statements
from messaging.models import USPACY, WebhookEvent
from messaging.uspacy_events import Irrelevant
from portals.payload import InvalidPayload, parse_json

log = structlog.get_logger(__name__)


class Interpreter(NamedTuple):
    """What the events of one source come to, in two ways, one of which is fast and only for the plainest.

    Both return the messenger's ids of the messages that are known from now on, and raise Irrelevant,
    InvalidPayload, or what our fault is.
    """

    take: Callable[[WebhookEvent, Any], list[str] | None]  # an event with its payload; None: it is not that plain
    interpret: Callable[[Any, int], list[str]]  # the payload of a stored event, and that event's key


OPERATORS = Interpreter(operators.take, operators.interpret)
OUTCOME = ["outcome", "reason", "error", "awaits"]
AWAITING_FOR = timedelta(hours=1)


def receive_from_uspacy(key: str, text: str) -> bool:
    """Take in the `Message` of a verified SNS notification; False if we have it already."""
    try:
        return _receive(USPACY, key, text, OPERATORS)
    except InvalidPayload:
        _store_failure(USPACY, key, text)
        return True


def receive_from_line(line: ExternalLine, headers: Headers, body: bytes) -> bool:
    """Take in a verified webhook call of a line's messenger; False if we have all of it already.

    Raises InvalidPayload: the call breaks the messenger's contract and nothing of it is stored. Where the channel
    is not strict, only a call that cannot be taken apart does.
    """
    new = False
    channel, source, interpreter = get_channel(line), str(line.key), _customers(line)
    for update in channel.split(headers, body):
        text = json.dumps(update.payload, ensure_ascii=False)
        try:
            new |= _receive(source, update.key, text, interpreter)
        except InvalidPayload:
            if channel.is_strict:
                raise
            _store_failure(source, update.key, text)
            new = True
    if line.status == ExternalLine.Status.CONNECTING:
        activate(line)
    return new


def reprocess(event: WebhookEvent) -> WebhookEvent:
    """Interpret a stored event again, as if it came now; its outcome tells what became of it."""
    brought: list[str] = []
    try:
        with transaction.atomic():
            brought = _interpret(event, _interpreter_of(event))
    except (OperationalError, InterfaceError):
        raise
    except Exception:  # a fault of ours, or of the payload: the evidence stays
        _mark_failed(event)
    event.save(update_fields=OUTCOME)
    for message_id in brought:
        reprocess_awaiting(event.source, message_id)
    return event


def reprocess_awaiting(source: str, message_id: str) -> None:
    """Interpret again what a line's messenger told of a message before we knew it."""
    recent = timezone.now() - AWAITING_FOR
    for event in statements.awaiting(source, message_id, recent):
        reprocess(event)


def _receive(source: str, key: str, text: str, interpreter: Interpreter) -> bool:
    event = _event(source, key, text)
    try:
        brought = _take(event, interpreter)
        if brought is None:
            with transaction.atomic():
                if not statements.store_event(event):
                    return False
                brought = _interpret(event, interpreter)
                if event.outcome != WebhookEvent.Outcome.ACCEPTED:
                    event.save(update_fields=OUTCOME)
    except (OperationalError, InterfaceError, InvalidPayload):
        raise
    except Exception:  # a fault of ours: the event is kept, and so is the reason
        _store_failure(source, key, text)
        return True
    if event.awaits:
        reprocess(event)  # the message may have been recorded while we looked
    for message_id in brought:
        reprocess_awaiting(source, message_id)
    return True


def _take(event: WebhookEvent, interpreter: Interpreter) -> list[str] | None:
    """Store what needs one statement only; None, and nothing is stored, if it may need more."""
    try:
        return interpreter.take(event, parse_json(event.payload))
    except Irrelevant as exc:
        _ignore(event, exc)
        return [] if statements.store_event(event) else None
    except (OperationalError, InterfaceError):
        raise
    except Exception:  # the long way meets it again, and knows whether the event is here already
        return None


def _interpreter_of(event: WebhookEvent) -> Interpreter:
    if event.is_from_uspacy:
        return OPERATORS
    return _customers(ExternalLine.objects.select_related("portal").get(key=event.source))


def _customers(line: ExternalLine) -> Interpreter:
    return Interpreter(partial(customers.take, line), partial(customers.interpret, line))


def _interpret(event: WebhookEvent, interpreter: Interpreter) -> list[str]:
    event.outcome, event.reason, event.error, event.awaits = WebhookEvent.Outcome.ACCEPTED, "", "", ""
    try:
        return interpreter.interpret(parse_json(event.payload), event.pk)
    except Irrelevant as exc:
        _ignore(event, exc)
        return []


def _ignore(event: WebhookEvent, exc: Irrelevant) -> None:
    event.outcome, event.reason, event.awaits = WebhookEvent.Outcome.IGNORED, str(exc)[:255], exc.awaits


def _event(source: str, key: str, text: str) -> WebhookEvent:
    """PostgreSQL's text takes no NUL, which JSON does not allow either: one in the payload is replaced."""
    return WebhookEvent(source=source, key=key, payload=text.replace("\x00", "\N{REPLACEMENT CHARACTER}"))


def _store_failure(source: str, key: str, text: str) -> None:
    """Keep an event that could not be interpreted, with the traceback of the exception being handled."""
    event = _event(source, key, text)
    _mark_failed(event)
    statements.store_event(event)


def _mark_failed(event: WebhookEvent) -> None:
    event.outcome, event.reason, event.error = WebhookEvent.Outcome.FAILED, "", traceback.format_exc()
    log.error("webhook_event_failed", source=event.source, key=event.key, traceback=event.error)
