"""Calling the Bot API: one method, one answer."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import quote

from externallines.channels import addresses
from externallines.channels.telegram_errors import Moved, raise_for_refusal
from portals import http
from portals.payload import InvalidPayload, Payload, parse_json

TIMEOUT, UPLOAD_TIMEOUT = 15.0, 120.0

NamedFile = tuple[str, str, BinaryIO, str]  # field, file name, content, media type


class Bot:
    """The API as the owner of a token sees it. The token is part of every URL, so no URL may show."""

    def __init__(self, token: str) -> None:
        self._token = token
        self.remote = f"telegram {token.partition(':')[0]}"

    def call(self, method: str, fields: Mapping[str, Any] | None = None, files: Sequence[NamedFile] = ()) -> Any:
        """Return the result of a method. Raises RemoteError."""
        fields = dict(fields or {})
        try:
            return _result(self._post(method, fields, files))
        except Moved as exc:
            return _result(self._post(method, fields | {"chat_id": exc.chat_id}, files))

    def download(self, file_id: str, into: BinaryIO, max_bytes: int) -> None:
        """Write a file of a chat to `into`. Raises RemoteError."""
        with understood():
            path = Payload(self.call("getFile", {"file_id": file_id})).text("file_path")
        url = f"{addresses.telegram}/file/bot{self._token}/{quote(path)}"
        http.download(url, into, max_bytes=max_bytes, timeout=UPLOAD_TIMEOUT, remote=self.remote)

    def _post(self, method: str, fields: Mapping[str, Any], files: Sequence[NamedFile]) -> http.Answer:
        url = f"{addresses.telegram}/bot{self._token}/{method}"
        if not files:
            return http.call("POST", url, json=fields, timeout=TIMEOUT, remote=self.remote)
        for _field, _name, content, _mime_type in files:
            content.seek(0)
        written = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
        form = http.multipart(list(written.items()), files)
        headers = {"Content-Type": form.content_type}
        return http.call("POST", url, data=form, headers=headers, timeout=UPLOAD_TIMEOUT, remote=self.remote)


@contextmanager
def understood() -> Iterator[None]:
    """Read a result; what is not as agreed is a fault of Telegram's."""
    try:
        yield
    except InvalidPayload as exc:
        raise http.ServerFault(f"Telegram's answer cannot be understood: {exc}") from None


def _result(answer: http.Answer) -> Any:
    """Return the result of a call that Telegram carried out, else raise what its answer stands for."""
    try:
        envelope = Payload(parse_json(answer.body))
    except InvalidPayload:
        envelope = Payload({})
    if answer.ok and envelope.value.get("ok") is True:
        return envelope.value.get("result")
    raise_for_refusal(answer, envelope)
    raise http.ServerFault("Telegram's answer cannot be understood.", code=str(answer.status))
