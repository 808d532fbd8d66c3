"""Uspacy's API as we use it: one method per endpoint, in plain Python (uspacy-api.md 3 to 8).

Every call raises RemoteError as `portals.http` sorts it, with Uspacy's own reason in the message.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO, NotRequired, TypedDict, Unpack
from urllib.parse import quote

from requests_toolbelt import MultipartEncoder
from urllib3.util import parse_url

from portals import http
from portals.http import Answer, Download, Refused, ServerFault, Unauthorized
from portals.uspacy_answers import (
    DuplicateMessage,
    FileObject,
    Line,
    TokenPair,
    is_duplicate,
    raise_for_error,
    read_body,
    read_file,
    read_id,
    read_line,
    read_list,
    read_token_pair,
)

__all__ = [
    "DuplicateMessage",
    "FileObject",
    "Line",
    "MessageFields",
    "TokenPair",
    "UspacyClient",
    "app_sign_in",
    "refresh",
]

UPLOAD_SECONDS = 120.0

QueryValue = str | int | Sequence[str | int]


class MessageFields(TypedDict):
    """A message on an external line (uspacy-api.md 7.1); `id` is ours, `text` is Markdown."""

    id: str
    line_id: str
    chat_id: str
    text: str
    external_id: str
    external_author_id: NotRequired[str]  # without it the message shows as the operator's
    type: NotRequired[str]  # MESSAGE, AUDIO, VOICE, VIDEO, GIF
    parent_id: NotRequired[str]
    files: NotRequired[Sequence[FileObject]]


def refresh(base_url: str, domain: str, refresh_token: str) -> TokenPair:
    """Exchange a refresh token, which works once, for a new pair (uspacy-api.md 3)."""
    url = base_url.rstrip("/") + "/auth/v1/auth/refresh_token"
    answer = http.call("POST", url, headers=_headers(refresh_token), remote=domain)
    return read_token_pair(answer, refresh_token)


def app_sign_in(base_url: str, domain: str, client_id: str, client_secret: str) -> TokenPair:
    """Get a pair with the app's own credentials, where the refresh token fails (uspacy-api.md 3)."""
    url = base_url.rstrip("/") + "/auth/v1/auth/app_sign_in"
    credentials = {"client_id": client_id, "client_secret": client_secret}
    answer = http.call("POST", url, headers=_headers(), json=credentials, remote=domain)
    return read_token_pair(answer, "")


class UspacyClient:
    """The API of one portal. On a 401 it asks `renew` for a new token and sends the request once more."""

    def __init__(
        self, base_url: str, domain: str, token: str, *, renew: Callable[[str], str] | None = None
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._domain = domain
        self._files_remote = f"{domain} files"  # a gate of its own: text passes while files fail
        self._token = token
        self._renew = renew

    # External lines, uspacy-api.md 5

    def create_line(self, *, name: str, icon: str, phone_number: str, external_id: str) -> str:
        """Create a line and return its id. `name` and `external_id` have to be unique in the portal."""
        line = {"name": name, "icon": icon, "phoneNumber": phone_number, "externalId": external_id}
        return read_line(self._object("POST", "/messenger/v1/external-lines", json=line)).id

    def list_lines(self) -> list[Line]:
        return [read_line(line) for line in self._objects("/messenger/v1/external-lines")]

    def get_line(self, line_id: str) -> Line:
        return read_line(self._object("GET", f"/messenger/v1/external-lines/{_segment(line_id)}"))

    def update_line(self, line_id: str, *, name: str, icon: str, phone_number: str) -> None:
        line = {"name": name, "icon": icon, "phoneNumber": phone_number}
        self._request("PATCH", f"/messenger/v1/external-lines/{_segment(line_id)}", json=line)

    # Chats, uspacy-api.md 6

    def create_chat(
        self, *, id: str, name: str, line_id: str, picture_url: str, meta: Sequence[Mapping[str, str]]
    ) -> None:
        """Create the chat with one customer under an id of ours. Raises DuplicateMessage if it exists."""
        chat = {
            "name": name,
            "type": "EXTERNAL",
            "id": id,
            "externalLines": [line_id],
            "pictureUrl": picture_url,
            "meta": list(meta),
        }
        self._request("POST", "/messenger/v1/chats", json=chat)

    def list_chats(self, **query: QueryValue) -> tuple[list[dict[str, Any]], str]:
        """Return chats, pinned ones first, and the cursor of the next page ("" if there is none).

        The keywords are Uspacy's own names, such as `externalLineIds` or `limit`. Pages come only if `limit`
        or `cursor` is given, and then with exactly one of the `externalStatuses`.
        """
        answer = self._request("GET", "/messenger/v1/chats", params=_query(query))
        chats, page = read_list(answer), answer.json()
        if not isinstance(page, dict):
            return chats, ""
        pinned = [chat for chat in page.get("pinned") or () if isinstance(chat, dict)]
        cursor = read_id(page.get("nextCursor")) if page.get("hasNext", True) else ""
        return pinned + [chat for chat in chats if chat not in pinned], cursor

    # Messages, uspacy-api.md 7

    def create_message(self, **message: Unpack[MessageFields]) -> None:
        """Create a message. Raises DuplicateMessage if its `id` or `external_id` exists already."""
        self._request("POST", "/messenger/v1/messages", json=_message(message))

    def update_message(self, **message: Unpack[MessageFields]) -> None:
        """Change a message; all of it is sent, since nobody documents what may be left out."""
        self._request("PATCH", "/messenger/v1/messages", json=_message(message))

    def delete_message(self, message_id: str) -> None:
        self._request("DELETE", f"/messenger/v1/messages/{_segment(message_id)}", json={})

    def set_message_status(self, message_id: str, status: str, text: str = "") -> None:
        """Tell what became of an operator's message: `sent`, `delivered`, `read`, or `error` and why."""
        body = {"status": status, "statusText": text or None}
        self._request("PATCH", f"/messenger/v1/messages/{_segment(message_id)}/status", json=body)

    def get_message(self, message_id: str) -> dict[str, Any]:
        """Return a message as Uspacy describes it (uspacy-api.md 7.1)."""
        return self._object("GET", f"/messenger/v1/messages/{_segment(message_id)}")

    def has_message(self, message_id: str) -> bool:
        try:
            self.get_message(message_id)
        except Refused as refusal:
            if refusal.code == "404":
                return False
            raise
        return True

    def list_messages(self, chat_id: str, **query: QueryValue) -> list[dict[str, Any]]:
        """Return messages of a chat, by all appearances the newest first.

        The keywords are `limit`, `firstTimestamp` and `lastTimestamp` (milliseconds), and `unreadFirst`.
        """
        return self._objects("/messenger/v1/messages/", params={"chatId": chat_id} | _query(query))

    def messages_around(self, message_id: str) -> list[dict[str, Any]]:
        """Return a message with the ten before it and the ten after it."""
        return self._objects(f"/messenger/v1/messages/{_segment(message_id)}/goToMessage/")

    def read_all(self, chat_id: str) -> None:
        """Mark all messages of a chat as read."""
        self._request("POST", "/messenger/v1/messages/readAll/", json={"chatId": chat_id})

    # Files, uspacy-api.md 8

    def list_files(self, entity_id: str) -> list[FileObject]:
        """Return the files that were uploaded for a message, in their order."""
        params = {"entityType": "chat_message", "entityId": entity_id}
        return [read_file(item) for item in self._objects("/files/v1/files", params=params)]

    def upload_file(self, message_id: str, name: str, mime_type: str, file: BinaryIO) -> FileObject:
        """Upload a file, from its current position, for a message that is created afterwards.

        Nothing makes a repeat harmless: after an Unreachable look into `list_files` first.
        """
        start = file.tell()

        def form() -> MultipartEncoder:
            file.seek(start)
            fields = [("entityType", "chat_message"), ("entityId", message_id)]
            return http.multipart(fields, [("files[]", name, file, mime_type)])

        stored = read_list(self._request("POST", "/files/v1/files", form=form, timeout=UPLOAD_SECONDS))
        if not stored or not read_id(stored[0].get("id")):
            raise ServerFault("Uspacy did not confirm the upload of a file.")
        return read_file(stored[0])

    def get_file(self, file_id: str) -> FileObject:
        return read_file(self._object("GET", f"/files/v1/files/{_segment(file_id)}"))

    def delete_file(self, file_id: str) -> None:
        self._request("DELETE", f"/files/v1/files/{_segment(file_id)}")

    def delete_files(self, entity_id: str) -> None:
        """Delete all files of a message."""
        if not entity_id:  # nobody documents what Uspacy would delete then
            raise Refused("Files can only be deleted for a message with an id.")
        self._request("DELETE", "/files/v1/files", params={"entityType": "chat_message", "entityId": entity_id})

    def storage_totals(self) -> tuple[int, int]:
        """Return how much of the portal's storage is used, and its limit, both in bytes."""
        totals = read_body(self._request("GET", "/files/v1/totals/size/"))
        try:
            return int(totals["size"]), int(totals["limit"])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ServerFault("Uspacy's answer has no size and limit of the storage.") from None

    def download_file(
        self, url: str, into: BinaryIO, *, max_bytes: int, timeout: float = http.DOWNLOAD_SECONDS
    ) -> Download:
        """Fetch a file of an operator's message; only the portal's own host gets the token, if it asks."""
        http.check_url(url)
        own = _origin(url) == _origin(self._base_url)
        remote = self._files_remote if own else None
        try:
            return http.download(url, into, max_bytes=max_bytes, timeout=timeout, remote=remote)
        except (Unauthorized, Refused) as refusal:
            if not own or refusal.code not in ("401", "403"):
                raise

        def fetch() -> Download:
            return http.download(
                url,
                into,
                headers=_headers(self._token),
                max_bytes=max_bytes,
                timeout=timeout,
                remote=self._files_remote,
            )

        try:
            return fetch()
        except Unauthorized:
            if self._renew is None:
                raise
            self._token = self._renew(self._token)
        return fetch()

    def _object(self, method: str, path: str, *, json: Any = None) -> dict[str, Any]:
        body = read_body(self._request(method, path, json=json))
        if not isinstance(body, dict) or not read_id(body.get("id")):
            raise ServerFault("Uspacy's answer is not the object that was asked for.")
        return body

    def _objects(self, path: str, *, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        return read_list(self._request("GET", path, params=params))

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Callable[[], MultipartEncoder] | None = None,
        timeout: float = 15.0,
    ) -> Answer:
        """Send one request, and once more with a new token after a 401. Raises for any other than a 2xx."""

        def send() -> Answer:
            data = form() if form else None
            headers = _headers(self._token) | ({"Content-Type": data.content_type} if data else {})
            return http.call(
                method,
                self._base_url + path,
                headers=headers,
                params=params,
                json=json,
                data=data,
                timeout=timeout,
                remote=self._files_remote if path.startswith("/files/") else self._domain,
                expected=is_duplicate,
            )

        answer = send()
        if answer.status == 401 and self._renew is not None:
            self._token = self._renew(self._token)
            answer = send()
            if answer.status == 401:  # not our credentials' fault, so not the end of the message
                raise ServerFault("Uspacy refuses a token that it has just given.", code="401")
        raise_for_error(answer)
        return answer


def _headers(token: str = "") -> dict[str, str]:
    return {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})


def _segment(id: str) -> str:
    """Return an id as one segment of a path; what a URL would read as navigation is no id."""
    if id in ("", ".", ".."):
        raise Refused("An id that Uspacy gave us cannot be used in an address.")
    return quote(id, safe="")


def _query(query: Mapping[str, QueryValue]) -> dict[str, Any]:
    """Return a query as Uspacy's own front end writes it: a list as `name[]`, a truth value in lower case."""
    written: dict[str, Any] = {}
    for name, value in query.items():
        if isinstance(value, bool):
            written[name] = str(value).lower()
        else:
            written[name if isinstance(value, str | int) else f"{name}[]"] = value
    return written


def _origin(url: str) -> tuple[str | None, str | None, int | None]:
    parts = parse_url(url)
    return parts.scheme, parts.host, parts.port or (443 if parts.scheme == "https" else 80)


def _message(message: MessageFields) -> dict[str, Any]:
    body = {
        "id": message["id"],
        "externalLine": message["line_id"],
        "chatId": message["chat_id"],
        "type": message.get("type", "MESSAGE"),
        "message": message["text"],
        "externalId": message["external_id"],
    }
    optional = {
        "externalAuthorId": message.get("external_author_id"),
        "parentMessage": message.get("parent_id"),
        "attachedFiles": list(message.get("files", ())),
    }
    return body | {name: value for name, value in optional.items() if value}
