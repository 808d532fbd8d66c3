"""The Graph API of a WhatsApp number (channels.md 3): as strict as the contract."""

from collections.abc import Callable
from typing import Any

from flask import request

from tests.simulators.contract import (
    Check,
    RefusedError,
    a_filled_text,
    a_short_id,
    a_url,
    a_uuid,
    anything,
    list_of,
    one_of,
    record,
    sentences,
)
from tests.simulators.messengers import Customer, Json
from tests.simulators.meta import Address, Upload, error
from tests.simulators.whatsapp import WINDOW_CLOSED, WhatsAppNumber

MIB = 1024 * 1024
OPUS = "audio/ogg; codecs=opus"
# What an upload may be sent as, and the most bytes of it.
TYPES: dict[str, tuple[set[str], int]] = {
    "image": ({"image/jpeg", "image/png"}, 5 * MIB),
    "video": ({"video/mp4", "video/3gpp"}, 16 * MIB),
    "audio": ({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", OPUS}, 16 * MIB),
}
DOCUMENT_LIMIT = 100 * MIB


def a_text_of(limit: int) -> Check:
    def check(value: Any) -> list[tuple[str, str]]:
        fits = isinstance(value, str) and value.strip() and len(value) <= limit
        return [] if fits else [("", f"must be a text of 1 to {limit} characters")]

    return check


CAPTION = {"caption": a_text_of(1024)}
MEDIA = {"id": a_short_id}
CONTENT: dict[str, Check] = {
    "text": record({"body": a_text_of(4096)}, {"preview_url": one_of(True, False)}),
    "image": record(MEDIA, CAPTION),
    "video": record(MEDIA, CAPTION),
    "audio": record(MEDIA, {"voice": one_of(True)}),
    "document": record(MEDIA, {**CAPTION, "filename": a_filled_text}),
    "template": record(
        {
            "name": a_filled_text,
            "language": record({"code": a_filled_text}),
            "components": list_of(
                record(
                    {
                        "type": one_of("body"),
                        "parameters": list_of(record({"type": one_of("text"), "text": a_text_of(1024)})),
                    }
                )
            ),
        }
    ),
}
ENVELOPE = record(
    {
        "messaging_product": one_of("whatsapp"),
        "recipient_type": one_of("individual"),
        "type": one_of(*CONTENT),
    },
    {
        "to": a_short_id,
        "recipient": a_short_id,
        "context": record({"message_id": a_short_id}),
        "biz_opaque_callback_data": a_uuid,
        **dict.fromkeys(CONTENT, anything),
    },
)
OVERRIDE = record({"override_callback_uri": a_url, "verify_token": a_filled_text})


def handlers(
    account: WhatsAppNumber, verified: Callable[..., Address]
) -> dict[tuple[str, str], Callable[[], Json]]:
    number, waba = account.number_id, account.waba_id

    def set_number_address() -> Json:
        given = body_of(record({"webhook_configuration": anything}))["webhook_configuration"]
        if given == {"override_callback_uri": ""}:
            account.number_address = None
        else:
            account.number_address = overriding(given)
        return {"success": True}

    def subscribe() -> Json:
        given = request.get_json(silent=True) or {}
        account.waba_address = overriding(given) if given else None
        account.subscribed = ["messages"]
        return {"success": True}

    def overriding(given: Any) -> Address:
        if problems := sentences(OVERRIDE(given)):
            raise refused(100, "; ".join(problems))
        return verified(account, given["override_callback_uri"], [], given["verify_token"])

    def unsubscribe() -> Json:
        account.subscribed = account.waba_address = None
        return {"success": True}

    table: dict[tuple[str, str], Callable[[], Json]] = {
        ("GET", number): lambda: number_data(account),
        ("POST", number): set_number_address,
        ("GET", f"{waba}/phone_numbers"): lambda: {
            "data": [{"id": number, "display_phone_number": account.phone}]
        },
        ("GET", f"{waba}/subscribed_apps"): lambda: subscribed_apps(account),
        ("POST", f"{waba}/subscribed_apps"): subscribe,
        ("DELETE", f"{waba}/subscribed_apps"): unsubscribe,
        ("POST", f"{number}/media"): lambda: upload(account),
        ("POST", f"{number}/messages"): lambda: send(account),
    }
    for file in account.files.values():
        table["GET", file.id] = lambda file=file: {  # type: ignore[misc]
            "messaging_product": "whatsapp",
            "id": file.id,
            "url": file.url,
            "mime_type": file.mime_type,
            "file_size": file.size,
        }
    return table


def number_data(account: WhatsAppNumber) -> Json:
    app = account.callbacks.get(account.webhook_object)
    places = {
        "phone_number": account.number_address,
        "whatsapp_business_account": account.waba_address,
        "application": app,
    }
    return {
        "id": account.number_id,
        "display_phone_number": account.phone,
        "verified_name": account.name,
        "quality_rating": account.quality,
        "status": account.status,
        "webhook_configuration": {name: address.url for name, address in places.items() if address},
    }


def subscribed_apps(account: WhatsAppNumber) -> Json:
    if account.subscribed is None:
        return {"data": []}
    return {"data": [{"whatsapp_business_api_data": {"id": account.app_id, "name": "App", "link": "https://x"}}]}


def upload(account: WhatsAppNumber) -> Json:
    file, kind = request.files.get("file"), request.form.get("type", "")
    if request.form.get("messaging_product") != "whatsapp" or file is None or not kind:
        raise refused(100, "messaging_product, type and file are required")
    if file.content_type.replace(" ", "") != kind.replace(" ", ""):
        raise refused(100, f"the file is {file.content_type}, not {kind}")
    if kind == "audio/opus":
        raise refused(131053, "audio/opus is not supported")
    content = file.read()
    if len(content) > DOCUMENT_LIMIT:
        raise refused(131053, "the file is too large")
    kept = account.keep_upload(file.filename or "", content, kind)
    account.uploads[kept.id] = Upload(kept, kind)
    return {"id": kept.id}


def send(account: WhatsAppNumber) -> Json:
    if account.refusals:
        status, body = account.refusals.pop(0)
        raise RefusedError(status, body)
    given = body_of(ENVELOPE)
    kind = given["type"]
    if problems := sentences(CONTENT[kind](given.get(kind))):
        raise refused(100, f"{kind}: {'; '.join(problems)}")
    customer = recipient(account, given)
    files = [media(account, kind, given[kind])] if kind in ("image", "video", "audio", "document") else []
    content = given[kind]
    text = content.get("body") or content.get("caption") or ""
    if kind == "template":
        if (content["name"], content["language"]["code"]) not in account.templates:
            raise refused(132001, "Template name does not exist in the translation")
        text = content["components"][0]["parameters"][0]["text"]
        if any(space in text for space in ("\n", "\t", "    ")):
            raise refused(132018, "a parameter has line breaks")
    quoted = given.get("context", {}).get("message_id")
    if quoted and quoted not in account.all_messages:
        raise refused(131009, "there is no message to quote")
    client_id = given.get("biz_opaque_callback_data")
    message = account.take(customer, text, files, client_id, reply_to=quoted)
    if kind != "template" and not account.within(customer, hours=24):
        account.world.breach("a message was sent although the window is closed")
        account.tell_status(message, "failed", WINDOW_CLOSED)
    return {
        "messaging_product": "whatsapp",
        "contacts": [{"input": customer.id, "wa_id": customer.id}],
        "messages": [{"id": message.id, "message_status": "accepted"}],
    }


def recipient(account: WhatsAppNumber, given: Json) -> Customer:
    """The customer: by number in `to`, by user id in `recipient`. Meta drops what is in the wrong one."""
    number, user_id = given.get("to"), given.get("recipient")
    if (number is None) == (user_id is None):
        raise refused(100, "exactly one of to and recipient is required")
    if number is not None and not number.isdigit():
        raise refused(100, "a user id in `to` would be dropped silently")
    customer = account.customers.get(number or user_id)
    if customer is None or customer.blocked:
        raise RefusedError(400, error(131026, "Message undeliverable"))
    return customer


def media(account: WhatsAppNumber, kind: str, content: Json) -> Any:
    found = account.uploads.get(content["id"])
    if found is None:
        raise refused(131009, "there is no such upload")
    types, limit = TYPES.get(kind, ({found.type}, DOCUMENT_LIMIT))
    if found.type not in types or found.file.size > limit:
        raise refused(131053, f"{found.type} of {found.file.size} bytes is no {kind}")
    if content.get("voice") and found.type != OPUS:
        raise refused(131053, "a voice message has to be ogg with opus")
    return found.file


def body_of(check: Check) -> Json:
    given = request.get_json(silent=True)
    if problems := sentences(check(given)):
        raise refused(100, "; ".join(problems))
    return given  # type: ignore[return-value]  # an object, as was checked


def refused(code: int, message: str) -> RefusedError:
    """What a correct app never meets is a breach."""
    return RefusedError(400, error(code, message, details=message), breach=message)
