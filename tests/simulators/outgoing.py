"""How the simulated services call the app: plain HTTP, no proxies, no redirects, one connection per call."""

import json
import time
from dataclasses import dataclass
from typing import Any

import requests


@dataclass(frozen=True)
class Attempt:
    """One try to deliver something to the app."""

    at: float  # unix seconds
    seconds: float
    status: int  # HTTP status; 0 when there was no answer

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300


def call(method: str, url: str, *, timeout: float = 15, **options: Any) -> requests.Response:
    """The app's answer; raises `requests.RequestException` when there is none."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, timeout=timeout, allow_redirects=False, **options)


def attempt(
    url: str, body: bytes, headers: dict[str, str], timeout: float
) -> tuple[Attempt, requests.Response | None]:
    """POST once; never raises."""
    at, started = time.time(), time.perf_counter()
    try:
        response = call("POST", url, data=body, headers=headers, timeout=timeout)
    except requests.RequestException:
        response = None
    status = 0 if response is None else response.status_code
    return Attempt(at, time.perf_counter() - started, status), response


def json_bytes(value: Any) -> bytes:
    """JSON as messengers send it: what is not ASCII stays readable."""
    return json.dumps(value, ensure_ascii=False).encode()
