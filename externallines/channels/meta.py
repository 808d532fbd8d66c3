"""What Meta's channels have in common: its Graph API and its webhooks (channels.md 3 and 4)."""

import hashlib
import hmac
import json
import re
import secrets
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryFile
from typing import Any, ClassVar

from externallines.channels import addresses
from externallines.channels.base import (
    Channel,
    CredentialField,
    Headers,
    InvalidCredentials,
    InvalidSignature,
    OutboundFile,
    OutboundMessage,
)
from externallines.channels.meta_errors import Rows, error_of
from externallines.channels.meta_payloads import objects
from portals import http
from portals.payload import InvalidPayload, Payload, parse_json

TIMEOUT = 15.0
TIMEOUT_OF_REGISTRATION = 30.0  # Meta calls our webhook before it answers
UPLOAD_TIMEOUT = 120.0
WINDOW = timedelta(hours=24)
EXPIRY_WARNING = timedelta(days=14)

ACCESS_TOKEN = CredentialField("access_token", "Access token", "", secret=True)
APP_ID = CredentialField(
    "app_id", "App ID", "The number of your Meta app: App Dashboard, App settings, Basic.", required=True
)
APP_SECRET = CredentialField(
    "app_secret", "App secret", "Beside the app ID; it proves that a webhook is Meta's.", secret=True
)


class Meta(Channel):
    """A channel on the Graph API of the app that its owner made at Meta."""

    max_body = 3 * 1024 * 1024
    bare_answer = True  # it repeats until 200
    rows: ClassVar[Rows]  # its error codes
    webhook_object: ClassVar[str]  # what Meta's webhooks call the kind of account

    # connecting

    @classmethod
    def prepare(cls, given: Mapping[str, str]) -> dict[str, Any]:
        for field in cls.credential_fields:
            value = given.get(field.name, "")
            if field.name.endswith("_id") and value and not re.fullmatch("[0-9]{1,32}", value):
                raise InvalidCredentials("This has to be a number.", field=field.name)
            if field.secret and value and not re.fullmatch("[!-~]+", value):
                raise InvalidCredentials("This has characters that no token or secret has.", field=field.name)
            if field.required and not value:
                raise InvalidCredentials("This field is required.", field=field.name)
        return {**given, "verify_token": secrets.token_urlsafe(24)}

    def show(self) -> dict[str, str]:
        return {"verify_token": self.credentials["verify_token"]}

    # webhooks in

    def answer_challenge(self, query: Mapping[str, str]) -> str | None:
        given, ours = query.get("hub.verify_token", ""), self.credentials["verify_token"]
        genuine = hmac.compare_digest(given.encode("utf-8", "replace"), ours.encode())
        return query.get("hub.challenge") if genuine and query.get("hub.mode") == "subscribe" else None

    def verify(self, headers: Headers, body: bytes) -> None:
        given = headers.get("x-hub-signature-256", "").encode("utf-8", "replace")
        expected = [f"sha256={hmac.digest(key.encode(), body, 'sha256').hex()}".encode() for key in self._keys]
        if not any(hmac.compare_digest(given, one) for one in expected):
            raise InvalidSignature("The signature is not that of the Meta app whose secret was entered.")

    @property
    def _keys(self) -> list[str]:
        """The secrets that may have signed a webhook."""
        return [self.credentials["app_secret"]]

    def entries(self, body: bytes) -> Iterable[Payload]:
        """Return the entries of a webhook call that are for this kind of account; what else it has is skipped."""
        call = Payload(parse_json(body))
        if call.value.get("object") != self.webhook_object:
            return []
        return objects(call, "entry")

    # calls out

    @property
    @abstractmethod
    def account_id(self) -> str:
        """The id under which our messages are sent."""

    @property
    def remote(self) -> str:
        return f"{self.slug} {self.account_id}"

    @property
    def graph(self) -> str:
        """The address of the Graph API that knows the account."""
        return addresses.meta_graph

    def ask(self, method: str, path: str, *, as_app: bool = False, **options: Any) -> Payload:
        """Make a call with the account's token, or the app's. Raises RemoteError by the channel's table."""
        answer = self.answer_to(method, path, as_app=as_app, **options)
        if error := error_of(self._without_secrets(answer), self.rows):
            raise error
        try:
            return Payload(parse_json(answer.body))
        except InvalidPayload:
            raise http.ServerFault("Meta's answer cannot be understood.", code=str(answer.status)) from None

    def answer_to(
        self,
        method: str,
        path: str,
        *,
        as_app: bool = False,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **body: Any,
    ) -> http.Answer:
        token = f"{self.credentials['app_id']}|{self.credentials['app_secret']}"
        if not as_app:
            token = self.credentials["access_token"]
            params = {**(params or {}), **self._proof(token)}
        return http.call(
            method,
            f"{addresses.meta_graph if as_app else self.graph}/{path}",
            params=params,
            headers={"Authorization": f"Bearer {token}", **(headers or {})},
            timeout=timeout or TIMEOUT,
            remote=self.remote,
            expected=lambda answer: not isinstance(error_of(answer, self.rows), http.ServerFault),
            **body,
        )

    def _proof(self, token: str) -> dict[str, str]:
        """What apps that require an app secret want with every call; the others check it all the same."""
        key = self.credentials["app_secret"].encode()
        return {"appsecret_proof": hmac.digest(key, token.encode(), hashlib.sha256).hex()}

    def _without_secrets(self, answer: http.Answer) -> http.Answer:
        """Return an error's answer as it may be shown: Meta quotes a token that it cannot read."""
        body = answer.body
        for name in ("access_token", "app_secret"):
            body = body.replace(self.credentials[name].encode(), b"...")
        return http.Answer(answer.status, answer.headers, body)

    def upload(
        self, path: str, fields: Mapping[str, str], file: OutboundFile, name: str, mime_type: str
    ) -> Payload:
        """Post a form with the bytes of a file in the field `name`."""
        with TemporaryFile() as content:
            file.write_to(content)
            content.seek(0)
            form = http.multipart(list(fields.items()), [(name, file.name, content, mime_type)])
            return self.ask(
                "POST", path, data=form, headers={"Content-Type": form.content_type}, timeout=UPLOAD_TIMEOUT
            )

    # the app and its webhook

    def inspect_token(self, scopes: Sequence[str]) -> None:
        """Prove token, app and secret to belong together. Raises InvalidCredentials or RemoteError."""
        try:
            token = self._debug_token()
        except http.RemoteError as exc:
            if exc.code.partition("/")[0] in ("190", "100", "101", "104"):
                raise InvalidCredentials(
                    f"Meta does not accept the app's id and secret together. {exc}", field="app_secret"
                ) from exc
            raise
        if token.value.get("is_valid") is not True:
            raise InvalidCredentials("Meta no longer accepts this token.", field="access_token")
        if str(token.value.get("app_id")) != self.credentials["app_id"]:
            raise InvalidCredentials("This token belongs to another app.", field="access_token")
        granted = token.value.get("scopes")
        missing = [scope for scope in scopes if not isinstance(granted, list) or scope not in granted]
        if missing:
            raise InvalidCredentials(f"This token lacks the scopes {', '.join(missing)}.", field="access_token")

    def token_health(self, now: datetime) -> list[str]:
        token = self._debug_token()
        if token.value.get("is_valid") is not True:
            return ["Meta no longer accepts the access token. Enter a new one and reconnect."]
        return expiry_health(token.moment("expires_at"), now) if token.value.get("expires_at") else []

    def _debug_token(self) -> Payload:
        params = {"input_token": self.credentials["access_token"]}
        return readable(self.ask("GET", "debug_token", as_app=True, params=params), "data")

    @property
    def _subscriptions(self) -> str:
        return f"{self.credentials['app_id']}/subscriptions"

    def callbacks(self) -> dict[str, tuple[str, list[str]]]:
        """Return where the app sends its webhooks, and their fields, for each kind of account."""
        subscriptions = self.ask("GET", self._subscriptions, as_app=True)
        return {
            str(one.value.get("object")): (str(one.value.get("callback_url", "")), _field_names(one.value))
            for one in objects(subscriptions, "data")
            if one.value.get("active") is not False
        }

    def callback(self) -> tuple[str, list[str]]:
        """Return the address and the fields for our kind of account; "" is nowhere."""
        return self.callbacks().get(self.webhook_object, ("", []))

    def set_callback(self, webhook_url: str, fields: Sequence[str]) -> None:
        params = {
            "object": self.webhook_object,
            "callback_url": webhook_url,
            "verify_token": self.credentials["verify_token"],
            "fields": ",".join(fields),
        }
        self.ask("POST", self._subscriptions, as_app=True, params=params, timeout=TIMEOUT_OF_REGISTRATION)

    def remove_callback(self) -> None:
        self.ask("DELETE", self._subscriptions, as_app=True, params={"object": self.webhook_object})

    def has_our_app(self, subscribed: Payload) -> Payload | None:
        """Return our app's entry in the answer of `subscribed_apps`."""
        for one in objects(subscribed, "data"):
            details = one.value.get("whatsapp_business_api_data")
            app = details if isinstance(details, dict) else one.value
            if str(app.get("id")) == self.credentials["app_id"]:
                return one
        return None


def _field_names(subscription: Mapping[str, Any]) -> list[str]:
    fields = subscription.get("fields")
    return [
        str(field.get("name") if isinstance(field, dict) else field)
        for field in (fields if isinstance(fields, list) else [])
    ]


def account_field(exc: http.RemoteError, field: str) -> InvalidCredentials | None:
    """Return what a refused look at the account tells its owner; None where it is not about credentials."""
    code = exc.code.partition("/")[0]
    if code == "100" and "appsecret_proof" in str(exc):
        return InvalidCredentials("The app secret does not belong to the token's app.", field="app_secret")
    if code in ("190", "102", "10", "200", "3", "0"):
        return InvalidCredentials(str(exc), field="access_token")
    if code in ("100", "803"):
        return InvalidCredentials(f"Meta does not show this account to the token. {exc}", field=field)
    return None


def expiry_health(expires_at: datetime | None, now: datetime) -> list[str]:
    if expires_at is None or expires_at - now > EXPIRY_WARNING:
        return []
    return [f"The access token expires on {expires_at:%d.%m.%Y}. Enter one that lasts, and reconnect."]


def window_age(message: OutboundMessage) -> timedelta:
    """Return how long the customer has been silent."""
    wrote_at = message.customer_wrote_at
    return datetime.now(UTC) - wrote_at if wrote_at else timedelta.max


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def readable(container: Payload, name: str) -> Payload:
    """Return the object under `name` of an answer. Raises ServerFault."""
    try:
        return container.child(name)
    except InvalidPayload:
        raise http.ServerFault("Meta's answer cannot be understood.") from None


def answered_id(container: Payload, name: str) -> str:
    """Return the id under `name` of an answer. Raises ServerFault."""
    try:
        return container.id(name)
    except InvalidPayload:
        raise http.ServerFault("Meta's answer has no id.") from None
