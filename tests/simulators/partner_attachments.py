"""The partner fetches what the app's messages bring along, and checks it."""

import hashlib
import secrets
from urllib.parse import quote

import requests

from tests.simulators import outgoing
from tests.simulators.courier import Job
from tests.simulators.messengers import File, Json, Message
from tests.simulators.partner import Partner

RETRIES = 3


def fetch_later(partner: Partner, message: Message, described: Json) -> None:
    """Fetch an attachment in the background; anything but the announced bytes is a breach."""
    file = File(
        secrets.token_hex(8), described["name"], described["mime_type"], described["size"], described["url"]
    )
    message.files.append(file)
    partner.world.courier.submit(f"fetch {file.id}", fetch_job(partner, file, described["sha256"]))


def fetch_job(partner: Partner, file: File, sha256: str) -> Job:
    left = RETRIES

    def fetch() -> float | None:
        nonlocal left
        try:
            response = outgoing.call("GET", file.url, timeout=30)
            status, content = response.status_code, response.content
        except requests.RequestException:
            status, content = 0, b""
        if status != 200 and left > 0:
            left -= 1
            return 1
        if status != 200:
            partner.world.breach(f"attachment {file.name}: fetching it was answered {status or 'nothing'}")
        elif len(content) != file.size or hashlib.sha256(content).hexdigest() != sha256:
            partner.world.breach(f"attachment {file.name}: size or sha256 is not as announced")
        else:
            keep(partner, file, content)
        return None

    return fetch


def keep(partner: Partner, file: File, content: bytes) -> None:
    """The partner's own copy, which outlives the app's URL."""
    with partner.world.change():
        file.content = content
        file.url = f"{partner.url}/media/{file.id}/{quote(file.name, safe='')}"
        partner.files[file.id] = file
