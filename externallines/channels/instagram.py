"""Instagram messages, of an account linked to a Page or signed in at Instagram itself (channels.md 4)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, ClassVar

from externallines.channels import addresses, rendering
from externallines.channels.base import (
    Account,
    CredentialField,
    InvalidCredentials,
    OutboundFile,
)
from externallines.channels.facebook import PAGE_ID, look_at_page, subscribe_page, unsubscribe_page
from externallines.channels.messenger import HUMAN_AGENT, MIB, Messenger, attachment
from externallines.channels.meta import (
    ACCESS_TOKEN,
    APP_ID,
    APP_SECRET,
    account_field,
    expiry_health,
)
from externallines.channels.meta_payloads import bare
from portals import http
from portals.payload import Payload

PAGE_SCOPES = ("pages_messaging", "pages_manage_metadata", "instagram_basic", "instagram_manage_messages")
FIELDS = ("messages", "messaging_postbacks", "messaging_seen", "message_reactions")
TYPES: Mapping[str, tuple[frozenset[str], int]] = {
    "image": (frozenset({"image/png", "image/jpeg", "image/gif"}), 8 * MIB),
    "audio": (frozenset({"audio/aac", "audio/mp4", "audio/x-m4a", "audio/wav", "audio/x-wav"}), 25 * MIB),
    "video": (
        frozenset({"video/mp4", "video/ogg", "video/x-msvideo", "video/quicktime", "video/webm"}),
        25 * MIB,
    ),
    "file": (frozenset({"application/pdf"}), 25 * MIB),
}
ALBUM = 10  # pictures in one message
RENEW_BEFORE = timedelta(days=15)
MINIMUM_AGE = timedelta(hours=24)  # of a token that can be renewed


class Instagram(Messenger):
    slug, label, chat_meta = "instagram", "Instagram", "instagram"
    webhook_object = "instagram"
    text_limit, text_size = 1000, rendering.utf8
    profile_fields = "name,username,profile_pic"
    credential_fields = (
        CredentialField(
            "login",
            "Login",
            "facebook if the account is linked to a Facebook Page, instagram if it signed in at Instagram itself.",
            choices=("facebook", "instagram"),
        ),
        CredentialField(PAGE_ID.name, PAGE_ID.label, "Of the linked Page; only for facebook.", required=False),
        CredentialField(
            ACCESS_TOKEN.name,
            ACCESS_TOKEN.label,
            "For facebook a Page token that does not expire, for instagram the account's token of 60 days, "
            "which we renew.",
            secret=True,
        ),
        CredentialField(APP_ID.name, APP_ID.label, "Of the Meta app; for instagram the Instagram app ID."),
        CredentialField(
            APP_SECRET.name, APP_SECRET.label, "Beside that ID; it proves that a webhook is Meta's.", secret=True
        ),
        CredentialField(
            "meta_app_secret",
            "Secret of the Meta app",
            "Only for instagram, and only if its webhooks are refused: the secret under App settings, Basic.",
            required=False,
            secret=True,
        ),
        HUMAN_AGENT,
    )
    belongs_to: ClassVar[Mapping[str, str]] = {"entered_at": "access_token", "expires_at": "access_token"}

    # connecting

    @classmethod
    def prepare(cls, given: Mapping[str, str]) -> dict[str, Any]:
        if given.get("login") not in ("facebook", "instagram"):
            raise InvalidCredentials("This has to be facebook or instagram.", field="login")
        if given["login"] == "facebook" and not given.get("page_id"):
            raise InvalidCredentials("The ID of the linked Page is needed.", field="page_id")
        return {**super().prepare(given), "entered_at": datetime.now(UTC).isoformat()}

    def check(self) -> Account:
        return self._check_own_login() if self.has_own_login else self._check_page()

    def _check_page(self) -> Account:
        look_at_page(self)
        fields = "instagram_business_account{id,username,name,profile_picture_url}"
        page = self.ask("GET", self.account_id, params={"fields": fields})
        linked = page.value.get("instagram_business_account")
        if not isinstance(linked, dict) or not linked.get("id"):
            raise InvalidCredentials("No Instagram account is linked to this Page.", field="page_id")
        self.inspect_token(PAGE_SCOPES)
        return _account(linked, str(linked["id"]))

    def _check_own_login(self) -> Account:
        try:
            me = self._me().value
        except http.RemoteError as exc:
            raise account_field(exc, "access_token") or exc from exc
        return _account(me, str(me["user_id"]), active=False)  # its owner sets our address in the dashboard

    def _me(self) -> Payload:
        me = self.ask("GET", "me", params={"fields": "user_id,username,name,profile_picture_url"})
        if not me.value.get("user_id"):
            raise http.ServerFault("Meta's answer has no id.")
        return me

    def subscribe(self, webhook_url: str) -> None:
        if self.has_own_login:
            params = {"subscribed_fields": ",".join(FIELDS)}
            self.ask("POST", f"{self._me().value['user_id']}/subscribed_apps", params=params)
        else:
            self.claim_callback(webhook_url, FIELDS)
            subscribe_page(self)

    def unsubscribe(self, webhook_url: str) -> None:
        if self.has_own_login:
            self.ask("DELETE", f"{self._me().value['user_id']}/subscribed_apps")
        else:
            unsubscribe_page(self, other_object="page")

    def health(self, webhook_url: str) -> list[str]:
        now = datetime.now(UTC)
        if not self.has_own_login:
            return [*self.token_health(now), *self.app_problems(webhook_url, self.account_id)]
        user_id = self._me().value["user_id"]
        found = expiry_health(self._expires_at, now)
        if not self.ask("GET", f"{user_id}/subscribed_apps").value.get("data"):
            found.append("The account does not tell the Meta app of messages. Reconnect the line.")
        return found

    def renew(self, now: datetime) -> dict[str, Any] | None:
        """Renew the token of 60 days in time; at once where nobody has told how old it is."""
        if not self.has_own_login or now - datetime.fromisoformat(self.credentials["entered_at"]) < MINIMUM_AGE:
            return None
        if self._expires_at and self._expires_at - now > RENEW_BEFORE:
            return None
        token = self.credentials["access_token"]
        params = {"grant_type": "ig_refresh_token", "access_token": token}
        answer = self.ask("GET", "refresh_access_token", params=params)
        renewed, lifetime = answer.value.get("access_token"), answer.size("expires_in")
        if not isinstance(renewed, str) or not renewed or not lifetime:
            raise http.ServerFault("Meta's answer has no renewed token.")
        expires_at = now + timedelta(seconds=min(lifetime, 10 * 366 * 86400))
        return {**self.credentials, "access_token": renewed, "expires_at": expires_at.isoformat()}

    @property
    def _expires_at(self) -> datetime | None:
        stored = self.credentials.get("expires_at")
        return datetime.fromisoformat(stored) if stored else None

    # webhooks in

    @property
    def _keys(self) -> list[str]:
        """Which of its two secrets Meta signs with is not documented for Instagram's own login."""
        other = self.credentials.get("meta_app_secret") if self.has_own_login else ""
        return [*super()._keys, *([other] if other else [])]

    @property
    def own_id(self) -> str:
        return str(self.credentials.get("account_id", ""))

    @property
    def echoing_app(self) -> str:
        return str(self.credentials["app_id"])

    # calls out

    @property
    def has_own_login(self) -> bool:
        return bool(self.credentials["login"] == "instagram")

    @property
    def is_messenger_platform(self) -> bool:
        return not self.has_own_login

    @property
    def graph(self) -> str:
        return addresses.instagram_graph if self.has_own_login else addresses.meta_graph

    @property
    def account_id(self) -> str:
        return "me" if self.has_own_login else str(self.credentials["page_id"])

    @property
    def remote(self) -> str:
        return f"{self.slug} {self.own_id or self.credentials.get('page_id') or self.credentials['app_id']}"

    def _proof(self, token: str) -> dict[str, str]:
        return {} if self.has_own_login else super()._proof(token)

    def kind_of(self, file: OutboundFile) -> str | None:
        for kind, (types, limit) in TYPES.items():
            if bare(file.mime_type) in types and file.size <= limit:
                return kind
        return None

    def grouped(self, files: Sequence[OutboundFile]) -> list[list[OutboundFile]]:
        """Return pictures that follow one another in albums, and any other file by itself."""
        groups: list[list[OutboundFile]] = []
        for kind, run in groupby(files, self.kind_of):
            together, size = list(run), ALBUM if kind == "image" else 1
            groups += [together[start : start + size] for start in range(0, len(together), size)]
        return groups

    def send_files(
        self, files: Sequence[OutboundFile], envelope: Mapping[str, Any], metadata: Mapping[str, str]
    ) -> Payload:
        """Send files by their addresses: Instagram takes no bytes."""
        sent = [attachment(str(self.kind_of(file)), url=file.url) for file in files]
        content = {"attachment": sent[0]} if len(sent) == 1 else {"attachments": sent}
        return self.post({**envelope, "message": {**content, **metadata}})


def _account(told: Mapping[str, Any], account_id: str, *, active: bool = True) -> Account:
    username = str(told.get("username") or "")
    return Account(
        account_id,
        name=str(told.get("name") or username),
        picture_url=str(told.get("profile_picture_url") or ""),
        active=active,
        learned={"account_id": account_id},
    )
