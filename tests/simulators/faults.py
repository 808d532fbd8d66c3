"""The wire between the app and the simulated world: latency, faults on demand, and a log of requests."""

import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from tests.simulators.world import World

Kind = Literal["status", "hang", "cut", "stored_then_cut", "slow"]


@dataclass(frozen=True)
class LoggedRequest:
    """A request the app made to the simulated world."""

    method: str
    path: str
    query: str
    domain: str | None  # the portal, for the Uspacy API
    status: int  # what was answered; 0 when the connection was cut instead
    at: float  # unix seconds, when it arrived
    seconds: float


@dataclass
class Fault:
    """Something that goes wrong with the next `times` requests it matches."""

    pattern: re.Pattern[str]
    kind: Kind
    times: int
    domain: str | None = None
    method: str | None = None
    code: int = 503
    body: Any = field(default_factory=lambda: {"message": "simulated failure"})
    retry_after: int | str | None = None
    seconds: float = 1.0

    def matches(self, method: str, path: str, domain: str | None) -> bool:
        return (
            self.times > 0
            and self.method in (None, method)
            and self.domain in (None, domain)
            and self.pattern.search(path) is not None
        )


class Faults:
    """The faults waiting to happen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(
        self,
        path: str,
        kind: Kind,
        times: int = 1,
        domain: str | None = None,
        method: str | None = None,
        **options: Any,
    ) -> Fault:
        """Let the next `times` requests whose path matches the regular expression `path` go wrong.

        - ``status``: answered with `code` (503), the JSON `body`, and `retry_after` (seconds or an HTTP date)
        - ``hang``: no answer for `seconds`, then the connection closes; nothing is processed
        - ``cut``: the connection closes at once; nothing is processed
        - ``stored_then_cut``: processed, but the answer is lost
        - ``slow``: processed and answered after `seconds`
        """
        if kind not in get_args(Kind):
            raise ValueError(f"unknown kind of fault: {kind}")
        fault = Fault(re.compile(path), kind, times, domain, method, **options)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Everything works again."""
        with self._lock:
            self._faults.clear()

    def take(self, method: str, path: str, domain: str | None) -> Fault | None:
        """The fault this request meets, counted as used."""
        with self._lock:
            for fault in self._faults:
                if fault.matches(method, path, domain):
                    fault.times -= 1
                    return fault
        return None


class RequestLog:
    """The newest requests of the app, oldest first; safe to read while others write."""

    def __init__(self, size: int = 50_000) -> None:
        self._lock = threading.Lock()
        self._entries: deque[LoggedRequest] = deque(maxlen=size)

    def add(self, entry: LoggedRequest) -> None:
        with self._lock:
            self._entries.append(entry)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def matching(self, path: str, method: str | None = None) -> list[LoggedRequest]:
        """Requests whose path matches the regular expression `path`."""
        return [entry for entry in self if re.search(path, entry.path) and method in (None, entry.method)]

    def __iter__(self) -> Iterator[LoggedRequest]:
        with self._lock:
            return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)


class Wire:
    """WSGI middleware in front of the world. The page and the control API pass untouched."""

    def __init__(self, world: "World", app: WSGIApplication) -> None:
        self._world = world
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(("/uspacy/", "/sns/", "/partner/", "/graph/", "/instagram_graph/")):
            return self._app(environ, start_response)
        at, started = time.time(), time.perf_counter()
        method = environ["REQUEST_METHOD"]
        domain = path.split("/")[2] if path.startswith("/uspacy/") else None
        self._world.pause(self._world.latency)
        response = self._respond(environ, self._world.faults.take(method, path, domain))
        status = response.status_code if response else 0
        seconds = time.perf_counter() - started
        self._world.requests.add(
            LoggedRequest(method, path, environ.get("QUERY_STRING", ""), domain, status, at, seconds)
        )
        return response(environ, start_response) if response else self._cut(environ)

    def _respond(self, environ: WSGIEnvironment, fault: Fault | None) -> Response | None:
        """The answer; None when the app is not to get one."""
        match fault:
            case Fault(kind="status"):
                return self._failure(fault)
            case Fault(kind="cut"):
                return None
            case Fault(kind="hang"):
                self._world.pause(fault.seconds)
                return None
            case Fault(kind="slow"):
                self._world.pause(fault.seconds)
        response = Response.from_app(self._app, environ)
        return None if fault and fault.kind == "stored_then_cut" else response

    def _failure(self, fault: Fault) -> Response:
        response = Response(json.dumps(fault.body), fault.code, content_type="application/json")
        if fault.retry_after is not None:
            response.headers["Retry-After"] = str(fault.retry_after)
        return response

    def _cut(self, environ: WSGIEnvironment) -> Iterable[bytes]:
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError("a fault closed this connection")
