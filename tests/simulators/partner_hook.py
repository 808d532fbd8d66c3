"""The partner's hook: takes and checks what the app sends (channels.md 5, outbound), and serves media."""

import hmac
import re
import secrets
import time
from typing import TYPE_CHECKING

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from tests.simulators.contract import (
    RefusedError,
    a_filled_text,
    a_sha256,
    a_short_id,
    a_text,
    a_time,
    a_url,
    a_uuid,
    an_integer,
    anything,
    list_of,
    one_of,
    record,
    sentences,
)
from tests.simulators.media import file_response
from tests.simulators.messengers import Customer, Json, Message
from tests.simulators.partner import Partner
from tests.simulators.partner_attachments import fetch_later
from tests.simulators.partner_events import conversation, signature

if TYPE_CHECKING:
    from tests.simulators.world import World

MAX_BODY = 256 * 1024
TOLERANCE = 300  # seconds

ENVELOPE = record({"type": a_filled_text, "timestamp": a_time, "data": anything})
ID = record({"id": a_short_id})
TEXTS = {"text": a_text, "text_plain": a_text}
ATTACHMENT = record(
    {
        "url": a_url,
        "name": a_filled_text,
        "mime_type": a_filled_text,
        "size": an_integer,
        "sha256": a_sha256,
        "kind": one_of("image", "video", "audio", "voice", "file"),
    }
)
NEW_MESSAGE = record(
    {
        "client_id": a_uuid,
        "seq": an_integer,
        "format": one_of("markdown"),
        "sent_at": a_time,
        "author": record({"id": a_short_id, "name": a_filled_text}),
    },
    {**TEXTS, "reply_to_id": a_short_id, "attachments": list_of(ATTACHMENT)},
)
CHANGED_MESSAGE = {"id": a_short_id, "client_id": a_uuid}
DATA = {
    "message.send": record({"conversation": ID, "contact": ID, "message": NEW_MESSAGE}),
    "message.update": record(
        {"conversation": ID, "message": record(CHANGED_MESSAGE, {**TEXTS, "format": one_of("markdown")})}
    ),
    "message.delete": record({"conversation": ID, "message": record(CHANGED_MESSAGE)}),
    "message.read": record({"conversation": ID, "up_to_message_id": a_short_id}),
    "typing": record({"conversation": ID, "state": one_of("on", "off")}),
    "ping": record({}),
}


def routes(world: "World") -> Blueprint:
    blueprint = Blueprint("partner", __name__, url_prefix="/partner/<messenger_id>")

    def find_partner(messenger_id: str) -> Partner:
        partner = world.messengers.get(messenger_id)
        if not isinstance(partner, Partner):
            raise RefusedError(404, error("not_found", "no such account"), breach="there is no such partner")
        return partner

    @blueprint.post("/hook")
    def hook(messenger_id: str) -> ResponseReturnValue:
        with world.lock:
            partner = find_partner(messenger_id)
            answer = take(partner, verified_event(partner))
            world.changed()
        return answer or ("", 200)

    @blueprint.get("/media/<file_id>/<path:name>")
    def media(messenger_id: str, file_id: str, name: str) -> ResponseReturnValue:
        file = find_partner(messenger_id).files.get(file_id)
        if file is None or file.name != name or file.content is None:
            raise RefusedError(404, error("not_found", "no such file"), breach="there is no such file")
        return file_response(name, file.content)

    return blueprint


# Verifying


def verified_event(partner: Partner) -> Json:
    """The event once transport and signature are as they have to be."""
    body = request.get_data()
    if len(body) > MAX_BODY:
        raise RefusedError(413, error("too_big", "the body is too big"), breach=f"a body of {len(body)} bytes")
    event_id = request.headers.get("webhook-id", "")
    timestamp = request.headers.get("webhook-timestamp", "")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", event_id):
        raise unauthorized("webhook-id is missing or malformed")
    if not re.fullmatch(r"[0-9]{10}", timestamp) or abs(time.time() - int(timestamp)) > TOLERANCE:
        raise unauthorized("webhook-timestamp is missing, malformed or too far from now")
    if partner.secret and not is_signed(partner.secret, event_id, timestamp, body):
        raise unauthorized("webhook-signature is missing or wrong")
    if request.mimetype != "application/json":
        raise contract_error("the content type must be application/json")
    if not request.headers.get("user-agent"):
        raise contract_error("the header user-agent is missing")
    event: Json = request.get_json(silent=True)  # type: ignore[assignment]  # checked next
    if problems := sentences(ENVELOPE(event)):
        raise contract_error("; ".join(problems))
    if partner.secret is None and event["type"] != "ping":
        raise unauthorized("only a ping may come before the partner knows the secret")
    return event


def is_signed(secret: str, event_id: str, timestamp: str, body: bytes) -> bool:
    """Whether any of the listed signatures is ours; versions we do not know are skipped."""
    expected = signature(secret, event_id, timestamp, body).encode()
    given = request.headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(expected, one.encode()) for one in given)


# Taking


def take(partner: Partner, event: Json) -> Json:
    """Apply a verified event, once; what to answer, empty for an empty body."""
    kind, data = event["type"], event["data"]
    if kind not in DATA:
        raise contract_error(f"{kind} is not a type of the contract", "type")
    if problems := sentences(DATA[kind](data)):
        raise contract_error("; ".join(problems), problems[0].split(" ")[0])
    event_id = request.headers["webhook-id"]
    if event_id in partner.answered:
        partner.repeats += 1
        return partner.answered[event_id]
    answer: Json = {}
    match kind:
        case "message.send":
            answer = take_message(partner, data)
        case "message.update" | "message.delete":
            take_change(partner, kind, data)
        case "message.read" | "typing":
            find_customer(partner, data)
        case "ping":
            partner.pings += 1
            return answer  # a ping is no event to remember: every press of the button counts
    partner.answered[event_id] = answer
    return answer


def take_message(partner: Partner, data: Json) -> Json:
    customer, content = find_customer(partner, data), data["message"]
    if data["contact"]["id"] != customer.id:
        raise contract_error("the contact is not the one of the conversation", "contact.id")
    if not content.get("text") and not content.get("attachments"):
        raise contract_error("a message needs text or attachments", "message.text")
    quoted = find_quoted(partner, customer, content.get("reply_to_id"))
    if known := partner.by_client_id.get(content["client_id"]):
        partner.repeats += 1
        return accepted(partner, known)
    refuse_if_asked(partner, customer)
    if content["seq"] <= partner.last_seq.get(customer.id, -1):
        partner.misordered.append(content["client_id"])
    partner.last_seq[customer.id] = max(content["seq"], partner.last_seq.get(customer.id, -1))
    message = Message(f"p-{secrets.token_hex(12)}", customer.id, "business", content.get("text", ""))
    message.client_id, message.reply_to, message.status = content["client_id"], quoted, "accepted"
    partner.all_messages[message.id] = partner.by_client_id[content["client_id"]] = message
    for described in content.get("attachments", []):
        fetch_later(partner, message, described)
    if partner.auto_delivered:
        partner.world.courier.submit(
            partner.lane(message), lambda: report_delivered(partner, message), partner.status_delay
        )
    return accepted(partner, message)


def take_change(partner: Partner, kind: str, data: Json) -> None:
    customer, content = find_customer(partner, data), data["message"]
    message = partner.by_client_id.get(content["client_id"])
    if message is None or message.customer_id != customer.id:
        raise contract_error("no message with this client_id was sent in this conversation", "message.client_id")
    if content["id"] != (message.id if partner.answer_ids else content["client_id"]):
        raise contract_error("id is not the one the partner answered", "message.id")
    refuse_if_asked(partner, customer)
    if kind == "message.delete":
        message.deleted = True
    else:
        message.text, message.edited = content.get("text", message.text), True


def refuse_if_asked(partner: Partner, customer: Customer) -> None:
    if customer.blocked:
        raise RefusedError(422, error("recipient_blocked", "the customer has blocked this business"))
    if refusing := partner.take_refusal():
        raise RefusedError(refusing.status, error(refusing.code, "refused on request"))


def find_customer(partner: Partner, data: Json) -> Customer:
    customer = partner.customers.get(data["conversation"]["id"].removeprefix("conversation-"))
    if customer and conversation(customer) == data["conversation"]:
        return customer
    raise contract_error("there is no such conversation", "conversation.id")


def find_quoted(partner: Partner, customer: Customer, message_id: str | None) -> str | None:
    """Our id of the quoted message, which the app may also know by its own id."""
    if message_id is None:
        return None
    message = partner.all_messages.get(message_id) or partner.by_client_id.get(message_id)
    if message is None or message.customer_id != customer.id:
        raise contract_error("reply_to_id is not a message of this conversation", "message.reply_to_id")
    return message.id


def report_delivered(partner: Partner, message: Message) -> None:
    if message.status == "accepted":
        partner.send_status(message, "delivered")


# Answers


def accepted(partner: Partner, message: Message) -> Json:
    """What the hook answers; a partner without ids of its own says nothing."""
    return {"message": {"id": message.id, "status": "accepted"}} if partner.answer_ids else {}


def error(code: str, message: str, field: str | None = None) -> Json:
    return {"error": {"code": code, "message": message, **({"field": field} if field else {})}}


def contract_error(problem: str, field: str | None = None) -> RefusedError:
    return RefusedError(422, error("invalid_payload", problem, field), breach=problem)


def unauthorized(problem: str) -> RefusedError:
    return RefusedError(401, error("unauthorized", problem), breach=problem)
