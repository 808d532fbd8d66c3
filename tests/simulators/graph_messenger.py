"""The Graph API of a Page and of an Instagram account (channels.md 4): as strict as the contract."""

import json
import secrets
from collections.abc import Callable
from typing import Any

import requests
from flask import request

from tests.simulators import outgoing
from tests.simulators.contract import (
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
from tests.simulators.messenger_platform import InstagramAccount, InstagramLogin, MessengerAccount
from tests.simulators.messengers import Customer, File, Json
from tests.simulators.meta import error

MIB = 1024 * 1024
KINDS = one_of("image", "video", "audio", "file")
BY_URL = record({"type": KINDS, "payload": record({"url": a_url}, {"is_reusable": one_of(False)})})
BY_BYTES = record({"type": KINDS, "payload": record({"is_reusable": one_of(False)})})
PICTURE = record({"type": one_of("image"), "payload": record({"url": a_url})})
PLATFORM_FIELDS = {"messaging_type": one_of("RESPONSE", "MESSAGE_TAG"), "tag": one_of("HUMAN_AGENT")}
ENVELOPE = {"recipient": record({"id": a_short_id}), "message": anything}
# Media types that Instagram fetches, with the most bytes.
INSTAGRAM_TYPES: dict[str, tuple[tuple[str, ...], int]] = {
    "image": (("image/png", "image/jpeg", "image/gif"), 8 * MIB),
    "audio": (("audio/aac", "audio/mp4", "audio/x-m4a", "audio/wav", "audio/x-wav"), 25 * MIB),
    "video": (("video/mp4", "video/ogg", "video/x-msvideo", "video/quicktime", "video/webm"), 25 * MIB),
    "file": (("application/pdf",), 25 * MIB),
}


def handlers(account: MessengerAccount) -> dict[tuple[str, str], Callable[[], Json]]:
    is_login = isinstance(account, InstagramLogin)
    own = account.own_id if is_login else account.page_id

    def subscribe() -> Json:
        fields = request.values.get("subscribed_fields", "").split(",")
        allowed = {"messages", "messaging_postbacks", "message_reactions"} | (
            {"messaging_seen"}
            if is_login
            else {"message_echoes", "message_deliveries", "message_reads", "message_edits"}
        )
        if unknown := set(fields) - allowed:
            raise refused(100, f"{', '.join(sorted(unknown))} is no field of this account")
        account.subscribed = fields
        return {"success": True}

    def unsubscribe() -> Json:
        account.subscribed = None
        return {"success": True}

    def subscribed() -> Json:
        if account.subscribed is None:
            return {"data": []}
        return {"data": [{"id": account.app_id, "name": "App", "subscribed_fields": account.subscribed}]}

    table: dict[tuple[str, str], Callable[[], Json]] = {
        ("GET", "me"): lambda: me(account),
        ("GET", f"{own}/subscribed_apps"): subscribed,
        ("POST", f"{own}/subscribed_apps"): subscribe,
        ("DELETE", f"{own}/subscribed_apps"): unsubscribe,
        ("POST", f"{'me' if is_login else own}/messages"): lambda: send(account),
    }
    if isinstance(account, InstagramAccount) and not is_login:
        linked = {"id": account.user_id, "username": account.id, "name": account.name}
        table["GET", own] = lambda: {"id": own, "instagram_business_account": linked}
    for customer in account.customers.values():
        table["GET", customer.id] = lambda customer=customer: profile(account, customer)  # type: ignore[misc]
    return table


def me(account: MessengerAccount) -> Json:
    if isinstance(account, InstagramLogin):
        return {"id": "9", "user_id": account.user_id, "username": account.id, "name": account.name}
    return {"id": account.page_id, "name": account.name}


def profile(account: MessengerAccount, customer: Customer) -> Json:
    """What a customer shows, once they have written."""
    if customer.id not in account.wrote_at:
        raise RefusedError(400, error(230, "User consent is required to access user profile"))
    picture = {"profile_pic": customer.picture_url} if customer.picture_url else {}
    if isinstance(account, InstagramAccount):
        return {"id": customer.id, "name": customer.name, "username": customer.username or customer.id, **picture}
    first, _, last = customer.name.partition(" ")
    return {"id": customer.id, "first_name": first, "last_name": last, **picture}


def send(account: MessengerAccount) -> Json:
    if account.refusals:
        status, body = account.refusals.pop(0)
        raise RefusedError(status, body)
    given = given_body()
    optional = {"reply_to": record({"mid": a_short_id}), "tag": one_of("HUMAN_AGENT")}
    required = dict(ENVELOPE)
    is_tagged = isinstance(account, InstagramAccount) and "tag" in given
    if not isinstance(account, InstagramLogin) and not is_tagged:
        required["messaging_type"] = PLATFORM_FIELDS["messaging_type"]
    if problems := sentences(record(required, optional)(given)):
        raise refused(100, "; ".join(problems))
    customer = account.customers.get(given["recipient"]["id"])
    if customer is None:
        raise RefusedError(400, error(100, "No matching user found", 2018001))
    if customer.blocked:
        raise RefusedError(400, error(551, "This person isn't available right now.", 1545041))
    check_window(account, customer, given)
    quoted = given.get("reply_to", {}).get("mid")
    if quoted and quoted not in account.all_messages:
        raise refused(100, "there is no message to quote")
    text, files = content(account, given["message"])
    client_id = given["message"].get("metadata")
    message = account.take(customer, text, files, client_id, reply_to=quoted)
    if isinstance(account, InstagramLogin):
        message.client_id = message.id  # so that its echo names the app
    return {"recipient_id": customer.id, "message_id": message.id}


def given_body() -> Json:
    """The body: JSON, or a form whose fields are JSON."""
    if request.is_json:
        given = request.get_json(silent=True)
    else:
        fields = request.form.to_dict()
        try:
            given = {
                name: value if name in PLATFORM_FIELDS else json.loads(value) for name, value in fields.items()
            }
        except ValueError:
            given = None
    if not isinstance(given, dict):
        raise refused(100, "the body is no object")
    return given


def check_window(account: MessengerAccount, customer: Customer, given: Json) -> None:
    tagged = given.get("tag") == "HUMAN_AGENT"
    if tagged and not account.has_human_agent:
        raise refused(100, "the app does not have the feature Human Agent")
    if "messaging_type" in given and (given["messaging_type"] == "MESSAGE_TAG") != tagged:
        raise refused(100, "messaging_type and tag do not go together")
    if not account.within(customer, hours=7 * 24 if tagged else 24):
        raise RefusedError(400, error(10, "This message is sent outside of allowed window.", 2018278))


def content(account: MessengerAccount, message: Any) -> tuple[str, list[File]]:
    metadata = {} if isinstance(account, InstagramLogin) else {"metadata": a_uuid}
    if isinstance(message, dict) and "text" in message:
        if problems := sentences(record({"text": a_filled_text}, metadata)(message)):
            raise refused(100, "; ".join(problems))
        if account.size(message["text"]) > account.text_limit:
            raise refused(100, f"a text of {account.size(message['text'])}")
        return message["text"], []
    upload = request.files.get("filedata")
    if upload is not None:
        check = record({"attachment": BY_BYTES}, metadata)
    elif isinstance(account, InstagramAccount) and isinstance(message, dict) and "attachments" in message:
        check = record({"attachments": list_of(PICTURE, at_least=2)}, metadata)
    else:
        check = record({"attachment": BY_URL}, metadata)
    if problems := sentences(check(message)):
        raise refused(100, "; ".join(problems))
    if upload is not None:
        bytes_ = upload.read()
        if len(bytes_) > 25 * MIB:
            raise refused(100, "the file is too large", 2018109)
        return "", [account.keep_upload(upload.filename or "file", bytes_, upload.content_type)]
    described = message.get("attachments") or [message["attachment"]]
    if len(described) > 10:
        raise refused(100, "more than ten pictures")
    return "", [fetched(account, one) for one in described]


def fetched(account: MessengerAccount, described: Json) -> File:
    """The file at the address the app gave, which Meta fetches while the app waits."""
    url = described["payload"]["url"]
    try:
        answer = outgoing.call("GET", url, timeout=10)
    except requests.RequestException:
        raise RefusedError(400, error(100, "Failed to fetch the file from the url", 2018008)) from None
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if answer.status_code != 200:
        raise refused(100, f"the file's address was answered {answer.status_code}", 2018008)
    if isinstance(account, InstagramAccount):
        types, limit = INSTAGRAM_TYPES[described["type"]]
        if kind not in types or len(answer.content) > limit:
            raise refused(100, f"{kind} is no {described['type']}", 2018047)
    return account.keep_upload(url.rpartition("/")[2] or secrets.token_hex(4), answer.content, kind)


def refused(code: int, message: str, subcode: int = 0) -> RefusedError:
    """What a correct app never meets is a breach."""
    return RefusedError(400, error(code, message, subcode), breach=message)
