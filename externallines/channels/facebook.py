"""Facebook Messenger, for a Page: https://developers.facebook.com/docs/messenger-platform (channels.md 4)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from externallines.channels.base import Account, CredentialField, InvalidCredentials, OutboundFile
from externallines.channels.messenger import HUMAN_AGENT, MIB, Messenger, attachment, media_kind
from externallines.channels.meta import ACCESS_TOKEN, APP_ID, APP_SECRET, account_field, as_json
from portals import http
from portals.payload import Payload

LARGEST_FILE = 25 * MIB
SCOPES = ("pages_messaging", "pages_manage_metadata")
FIELDS = (
    "messages",
    "messaging_postbacks",
    "message_echoes",
    "message_deliveries",
    "message_reads",
    "message_edits",
    "message_reactions",
)
PAGE_ID = CredentialField("page_id", "Page ID", "On your Page: About, Page transparency.")
PAGE_TOKEN = CredentialField(
    ACCESS_TOKEN.name,
    "Page access token",
    "Of a system user or a long-lived user token, so that it does not expire.",
    secret=True,
)


class Facebook(Messenger):
    slug, label, chat_meta = "facebook", "Facebook Messenger", "facebook"
    webhook_object = "page"
    text_limit, text_size = 2000, len
    profile_fields = "first_name,last_name,profile_pic"
    human_tag = {"messaging_type": "MESSAGE_TAG", **Messenger.human_tag}
    credential_fields = (PAGE_ID, PAGE_TOKEN, APP_ID, APP_SECRET, HUMAN_AGENT)

    # connecting

    def check(self) -> Account:
        page = look_at_page(self)
        self.inspect_token(SCOPES)
        picture = page.value.get("picture")
        return Account(
            self.account_id,
            name=str(page.value.get("name") or ""),
            picture_url=_picture_url(picture),
        )

    def subscribe(self, webhook_url: str) -> None:
        self.claim_callback(webhook_url, FIELDS)
        subscribe_page(self)

    def unsubscribe(self, webhook_url: str) -> None:
        unsubscribe_page(self, other_object="instagram")

    def health(self, webhook_url: str) -> list[str]:
        return [*self.token_health(datetime.now(UTC)), *self.app_problems(webhook_url, self.account_id)]

    # webhooks in

    @property
    def own_id(self) -> str:
        return self.account_id

    # calls out

    @property
    def account_id(self) -> str:
        return str(self.credentials["page_id"])

    def kind_of(self, file: OutboundFile) -> str | None:
        return media_kind(file) if file.size <= LARGEST_FILE else None

    def send_files(
        self, files: Sequence[OutboundFile], envelope: Mapping[str, Any], metadata: Mapping[str, str]
    ) -> Payload:
        [file] = files
        message = {"attachment": attachment(media_kind(file), is_reusable=False), **metadata}
        fields = {
            name: value if isinstance(value, str) else as_json(value)
            for name, value in {**envelope, "message": message}.items()
        }
        return self.upload(f"{self.account_id}/messages", fields, file, "filedata", file.mime_type)


def look_at_page(channel: Messenger) -> Payload:
    """Return the Page of the token, which has to be the one that was entered."""
    try:
        page = channel.ask("GET", "me", params={"fields": "id,name,picture{url}"})
    except http.RemoteError as exc:
        raise account_field(exc, "access_token") or exc from exc
    if str(page.value.get("id")) != channel.account_id:
        raise InvalidCredentials("This is no token of the Page with this ID.", field="access_token")
    return page


def _picture_url(picture: Any) -> str:
    data = picture.get("data") if isinstance(picture, dict) else None
    url = data.get("url") if isinstance(data, dict) else None
    return url if isinstance(url, str) else ""


def subscribe_page(channel: Messenger) -> None:
    """Let the Page tell the app of its messages: all fields, since one list serves Messenger and Instagram."""
    params = {"subscribed_fields": ",".join(FIELDS)}
    channel.ask("POST", f"{channel.account_id}/subscribed_apps", params=params)


def unsubscribe_page(channel: Messenger, *, other_object: str) -> None:
    """Take our address from the app, and the app from the Page if it serves nothing else there."""
    callbacks = channel.callbacks()
    if not channel.is_ours(callbacks.get(channel.webhook_object, ("", []))[0]):
        return
    channel.remove_callback()
    if other_object not in callbacks:
        channel.ask("DELETE", f"{channel.account_id}/subscribed_apps")
