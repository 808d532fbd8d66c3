"""The control API, ``/control/``: for the page, and for tests and demos in other processes (README.md)."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import requests
from flask import Blueprint, Response, json, jsonify, request
from flask.typing import ResponseReturnValue

from tests.simulators.messengers import Messenger
from tests.simulators.state import snapshot

if TYPE_CHECKING:
    from tests.simulators.world import World

HEARTBEAT = 10  # seconds


class ControlError(Exception):
    """Something cannot be done; the text is for the person who tried."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


def routes(world: "World") -> Blueprint:
    control = Blueprint("control", __name__, url_prefix="/control")
    uspacy = world.uspacy

    @control.errorhandler(ControlError)
    def say_what_is_wrong(error: ControlError) -> ResponseReturnValue:
        return {"error": str(error)}, error.status

    @control.errorhandler(RuntimeError)
    def say_what_the_app_said(error: RuntimeError) -> ResponseReturnValue:
        return {"error": str(error)}, 409

    @control.errorhandler(requests.RequestException)
    def say_that_the_app_is_down(error: requests.RequestException) -> ResponseReturnValue:
        return {"error": f"The app at {world.app_url} does not answer."}, 409

    # Watching

    @control.get("/state")
    def state() -> ResponseReturnValue:
        return snapshot(world)

    @control.get("/events")
    def events() -> Response:
        return Response(changes(world), content_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @control.get("/breaches")
    def breaches() -> ResponseReturnValue:
        return jsonify(list(world.breaches))

    @control.get("/requests")
    def logged_requests() -> ResponseReturnValue:
        return jsonify([asdict(entry) for entry in world.requests])

    # Setting the scene

    @control.post("/portals")
    def create_portal() -> ResponseReturnValue:
        domain = field("domain")
        if domain not in uspacy.portals:
            uspacy.create_portal(domain)
        return {"domain": domain}, 201

    @control.post("/portals/<domain>/install")
    def install(domain: str) -> ResponseReturnValue:
        return app_answer(uspacy.install(found(uspacy.portals, domain, "portal").domain))

    @control.post("/portals/<domain>/uninstall")
    def uninstall(domain: str) -> ResponseReturnValue:
        return app_answer(uspacy.uninstall(found(uspacy.portals, domain, "portal").domain))

    @control.post("/subscribe")
    def subscribe() -> ResponseReturnValue:
        return app_answer(world.sns.subscribe()) | {"confirmed": world.sns.confirmed}

    @control.post("/messengers")
    def create_messenger() -> ResponseReturnValue:
        messenger = world.add_messenger(field("id"), field("name"), fields().get("channel", "webhook"))
        return {"id": messenger.id}, 201

    @control.post("/lines")
    def connect_line() -> ResponseReturnValue:
        portal = found(uspacy.portals, field("domain"), "portal")
        return world.connect_line(portal.domain, messenger_named(), field("name")), 201

    @control.post("/faults")
    def add_fault() -> ResponseReturnValue:
        try:
            world.faults.add(**fields())
        except (TypeError, ValueError, re.error) as exc:
            raise ControlError(f"That is no fault: {exc}.") from exc
        return "", 204

    @control.delete("/faults")
    def clear_faults() -> ResponseReturnValue:
        world.faults.clear()
        return "", 204

    # Customers

    @control.post("/customers")
    def create_customer() -> ResponseReturnValue:
        return {"id": messenger_named().add_customer(field("name")).id}, 201

    @control.post("/customer/messages")
    def customer_writes() -> ResponseReturnValue:
        messenger = messenger_named()
        customer = found(messenger.customers, field("customer"), "customer")
        reply_to = fields().get("reply_to") or None
        if reply_to and found(messenger.all_messages, reply_to, "message").customer_id != customer.id:
            raise ControlError("The quoted message is of another conversation.")
        sent = messenger.write(customer, *content(), reply_to=reply_to)
        return {"id": sent.message.id}, 201

    @control.patch("/customer/messages/<message_id>")
    def customer_edits(message_id: str) -> ResponseReturnValue:
        messenger_with(message_id).edit(message_id, field("text"))
        return "", 204

    @control.delete("/customer/messages/<message_id>")
    def customer_deletes(message_id: str) -> ResponseReturnValue:
        messenger_with(message_id).delete(message_id)
        return "", 204

    @control.post("/customer/read")
    def customer_reads() -> ResponseReturnValue:
        messenger = messenger_named()
        messenger.read(found(messenger.customers, field("customer"), "customer"))
        return "", 204

    # Operators

    @control.post("/operator/messages")
    def operator_writes() -> ResponseReturnValue:
        chat_id = field("chat_id")
        portal = found(uspacy.chats(), chat_id, "chat")
        text, files = content()
        reply_to = fields().get("reply_to") or None
        if reply_to and found(portal.messages, reply_to, "message")["chatId"] != chat_id:
            raise ControlError("The quoted message is of another chat.")
        message = uspacy.operator_writes(portal.domain, chat_id, text, files, reply_to)
        return {"id": message["id"]}, 201

    @control.patch("/operator/messages/<message_id>")
    def operator_edits(message_id: str) -> ResponseReturnValue:
        portal = found(uspacy.messages(), message_id, "message")
        uspacy.operator_edits(portal.domain, message_id, field("text"))
        return "", 204

    @control.delete("/operator/messages/<message_id>")
    def operator_deletes(message_id: str) -> ResponseReturnValue:
        portal = found(uspacy.messages(), message_id, "message")
        uspacy.operator_deletes(portal.domain, message_id)
        return "", 204

    @control.post("/operator/read")
    def operator_reads() -> ResponseReturnValue:
        chat_id = field("chat_id")
        uspacy.operator_reads(found(uspacy.chats(), chat_id, "chat").domain, chat_id)
        return "", 204

    # Finding things

    def messenger_named() -> Messenger:
        messenger: Messenger = found(world.messengers, field("messenger"), "messenger")
        return messenger

    def messenger_with(message_id: str) -> Messenger:
        for messenger in world.messengers.values():
            if message_id in messenger.all_messages:
                return messenger
        raise ControlError(f"There is no message {message_id}.", 404)

    return control


def changes(world: "World") -> Iterator[str]:
    """Server-sent events: one now, one after every change, a comment when nothing happens."""
    revision = -1
    while not world.closing:
        newest = world.wait_for_change(revision, HEARTBEAT)
        if newest == revision:
            yield ": still here\n\n"
        else:
            revision = newest
            yield f"event: change\ndata: {json.dumps({'revision': revision})}\n\n"


def found(things: dict[str, Any], key: str, what: str) -> Any:
    if key not in things:
        raise ControlError(f"There is no {what} {key}.", 404)
    return things[key]


def fields() -> dict[str, Any]:
    """The fields of a JSON object or of a form."""
    given = request.get_json(silent=True) if request.is_json else request.form.to_dict()
    if not isinstance(given, dict):
        raise ControlError("The body must be a JSON object or a form.")
    return given


def field(name: str) -> str:
    value = fields().get(name)
    if not isinstance(value, str) or not value.strip():
        raise ControlError(f"The field {name} is missing.")
    return value


def content() -> tuple[str, list[tuple[str, bytes]]]:
    """Text and files of a new message."""
    text = fields().get("text") or ""
    files = [(file.filename or "file", file.read()) for file in request.files.getlist("file")]
    if not text.strip() and not files:
        raise ControlError("Write something or attach a file.")
    return text, files


def app_answer(response: requests.Response) -> dict[str, Any]:
    return {"app_status": response.status_code, "app_body": response.text[:2000]}
