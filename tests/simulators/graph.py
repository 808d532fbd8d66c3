"""Meta's Graph API, and Instagram's own: one strict stand-in for all accounts (channels.md 3 and 4)."""

import hmac
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from tests.simulators import graph_messenger, graph_whatsapp
from tests.simulators.contract import RefusedError
from tests.simulators.media import file_response
from tests.simulators.messenger_platform import InstagramLogin, MessengerAccount
from tests.simulators.messengers import Json
from tests.simulators.meta import Address, MetaAccount, error
from tests.simulators.whatsapp import WhatsAppNumber

if TYPE_CHECKING:
    from tests.simulators.world import World

VERSION = "v26.0"
Handler = Callable[[], Json]


def routes(world: "World") -> Blueprint:
    blueprint = Blueprint("graph", __name__)

    def accounts() -> list[MetaAccount]:
        return [one for one in world.messengers.values() if isinstance(one, MetaAccount)]

    @blueprint.route(
        "/<any(graph, instagram_graph):root>/<version>/<path:path>", methods=["GET", "POST", "DELETE"]
    )
    def call(root: str, version: str, path: str) -> ResponseReturnValue:
        if version != VERSION:
            raise refused(2635, "a version that is deprecated or unknown", breach=f"version {version}")
        token = bearer()
        of_app = [one for one in accounts() if token == f"{one.app_id}|{one.app_secret}" and root == "graph"]
        if of_app:
            asked = request.args.get("input_token")
            return jsonify(as_app(next((one for one in of_app if one.token == asked), of_app[0]), path))
        for account in accounts():
            if token == account.token and account.root == root:
                check_proof(account)
                return jsonify(as_account(account, path))
        raise RefusedError(401, error(190, "Invalid OAuth access token - Cannot parse access token"))

    @blueprint.get("/graph/cdn/<messenger_id>/media/<file_id>/<path:name>")
    def media(messenger_id: str, file_id: str, name: str) -> ResponseReturnValue:
        account = world.messengers.get(messenger_id)
        file = account.files.get(file_id) if isinstance(account, MetaAccount) else None
        if file is None or file.content is None:
            raise RefusedError(404, error(100, "no such file"), breach="there is no such file")
        if isinstance(account, WhatsAppNumber):
            if request.headers.get("Authorization") != f"Bearer {account.token}":
                raise RefusedError(401, error(190, "no token"), breach="a file was asked for without the token")
            if not request.headers.get("User-Agent"):
                raise RefusedError(
                    400, error(1, "no user agent"), breach="a file was asked for without User-Agent"
                )
        elif "Authorization" in request.headers:
            world.breach("the token was shown to the CDN")
        return file_response(file.name, file.content)

    return blueprint


# What an app's own token may


def as_app(account: MetaAccount, path: str) -> Json:
    if (request.method, path) == ("GET", "debug_token"):
        return {"data": token_data(account, request.args.get("input_token", ""))}
    if path == f"{account.app_id}/subscriptions":
        return subscriptions(account)
    raise refused(100, "Unsupported request", breach=f"{request.method} {path} with an app's token")


def token_data(account: MetaAccount, token: str) -> Json:
    if token != account.token or not account.token_valid:
        return {"is_valid": False, "error": {"code": 190, "message": "invalid"}, "scopes": []}
    return {
        "app_id": account.app_id,
        "type": "SYSTEM_USER",
        "is_valid": True,
        "expires_at": account.token_expires_at,
        "scopes": account.scopes,
    }


def subscriptions(account: MetaAccount) -> Json:
    if request.method == "GET":
        return {
            "data": [
                {
                    "object": name,
                    "callback_url": address.url,
                    "active": True,
                    "fields": [{"name": field, "version": VERSION} for field in address.fields],
                }
                for name, address in account.callbacks.items()
            ]
        }
    kind = request.values.get("object", "")
    if kind not in ("page", "instagram", "whatsapp_business_account"):
        raise refused(100, "object is not one", breach=f"a subscription of {kind!r}")
    if request.method == "DELETE":
        account.callbacks.pop(kind, None)
        return {"success": True}
    fields = request.values.get("fields", "").split(",")
    if unknown := set(fields) - FIELDS[kind]:
        raise refused(100, "invalid field", breach=f"{kind} has no fields {', '.join(sorted(unknown))}")
    account.callbacks[kind] = verified(account, request.values.get("callback_url"), fields)
    return {"success": True}


PAGE_FIELDS = {
    "messages",
    "messaging_postbacks",
    "message_echoes",
    "message_deliveries",
    "message_reads",
    "message_edits",
    "message_reactions",
}
FIELDS = {
    "page": PAGE_FIELDS,
    "instagram": {"messages", "messaging_postbacks", "messaging_seen", "message_reactions"},
    "whatsapp_business_account": {"messages", "smb_message_echoes"},
}


def verified(account: MetaAccount, url: Any, fields: list[str], token: Any = None) -> Address:
    """The address, once it has answered our challenge."""
    token = token if token is not None else request.values.get("verify_token")
    if not isinstance(url, str) or not isinstance(token, str) or not token:
        raise refused(100, "callback_url and verify_token are required", breach="an address without its token")
    if not account.challenge(url, token):
        raise refused(2200, "Callback verification failed")
    return Address(url, token, fields)


# What an account's token may


def as_account(account: MetaAccount, path: str) -> Json:
    if not account.token_valid:
        raise RefusedError(401, error(190, "Error validating access token", 463))
    match account:
        case WhatsAppNumber():
            handlers = graph_whatsapp.handlers(account, verified)
        case MessengerAccount():
            handlers = graph_messenger.handlers(account)
    handlers |= login_handlers(account) if isinstance(account, InstagramLogin) else {}
    handler = handlers.get((request.method, path))
    if handler is None:
        raise refused(100, f"Unsupported request - {path} does not exist", 33, breach=f"{request.method} {path}")
    return handler()  # without the world's lock: Meta may call the app, which may call us


def login_handlers(account: InstagramLogin) -> dict[tuple[str, str], Handler]:
    def refresh() -> Json:
        wanted = {"grant_type": "ig_refresh_token", "access_token": account.token}
        if request.args.to_dict() != wanted:
            raise refused(100, "invalid parameters", breach="a renewal with other parameters")
        if time.time() - account.token_made_at < 86400:
            raise refused(190, "the token is too young")
        account.token += "x"
        account.token_made_at = time.time()
        return {"access_token": account.token, "token_type": "bearer", "expires_in": 60 * 86400}

    return {("GET", "refresh_access_token"): refresh}


def bearer() -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def check_proof(account: MetaAccount) -> None:
    given = request.args.get("appsecret_proof")
    expected = hmac.digest(account.app_secret.encode(), account.token.encode(), "sha256").hex()
    if given not in (None, expected):
        raise refused(100, "Invalid appsecret_proof provided in the API argument")


def refused(code: int, message: str, subcode: int = 0, *, breach: str | None = None) -> RefusedError:
    return RefusedError(400, error(code, message, subcode), breach=breach)
