"""Webhooks in: stored, then interpreted, in one transaction that is committed before we answer.

Interpretation is synchronous, so that order of arrival is order of rows. What we cannot interpret is kept as
failed and can be processed again; a fault of the database rolls everything back and makes the sender repeat.
"""

import json
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

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

# Takes a payload and the key of its event, and returns the messenger's ids of the messages that are known from now
# on. Raises Irrelevant, InvalidPayload, or what our fault is.
Interpreter = Callable[[Any, int], list[str]]
OUTCOME = ["outcome", "reason", "error", "awaits"]
AWAITING_FOR = timedelta(hours=1)


def receive_from_uspacy(key: str, text: str) -> bool:
    """Take in the `Message` of a verified SNS notification; False if we have it already."""
    try:
        return _receive(USPACY, key, text, operators.interpret)
    except InvalidPayload:
        _store_failure(USPACY, key, text)
        return True


def receive_from_line(line: ExternalLine, headers: Headers, body: bytes) -> bool:
    """Take in a verified webhook call of a line's messenger; False if we have all of it already.

    Raises InvalidPayload: the call breaks the messenger's contract and nothing of it is stored. Where the channel
    is not strict, only a call that cannot be taken apart does.
    """
    new = False
    channel, source = get_channel(line), str(line.key)
    for update in channel.split(headers, body):
        text = json.dumps(update.payload, ensure_ascii=False)
        try:
            new |= _receive(source, update.key, text, _interpreter(line))
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


def _receive(source: str, key: str, text: str, interpret: Interpreter) -> bool:
    try:
        with transaction.atomic():
            event = WebhookEvent.objects.store(source, key, text)
            if event is None:
                return False
            brought = _interpret(event, interpret)
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


def _interpreter_of(event: WebhookEvent) -> Interpreter:
    if event.is_from_uspacy:
        return operators.interpret
    return _interpreter(ExternalLine.objects.select_related("portal").get(key=event.source))


def _interpreter(line: ExternalLine) -> Interpreter:
    return lambda payload, event_id: customers.interpret(line, payload, event_id)


def _interpret(event: WebhookEvent, interpret: Interpreter) -> list[str]:
    event.outcome, event.reason, event.error, event.awaits = WebhookEvent.Outcome.ACCEPTED, "", "", ""
    try:
        return interpret(parse_json(event.payload), event.pk)
    except Irrelevant as exc:
        event.outcome, event.reason, event.awaits = WebhookEvent.Outcome.IGNORED, str(exc)[:255], exc.awaits
        return []


def _store_failure(source: str, key: str, text: str) -> None:
    """Keep an event that could not be interpreted, with the traceback of the exception being handled."""
    with transaction.atomic():
        event = WebhookEvent.objects.store(source, key, text)
        if event is not None:
            _mark_failed(event)
            event.save(update_fields=OUTCOME)


def _mark_failed(event: WebhookEvent) -> None:
    event.outcome, event.reason, event.error = WebhookEvent.Outcome.FAILED, "", traceback.format_exc()
    log.error("webhook_event_failed", source=event.source, key=event.key, traceback=event.error)
