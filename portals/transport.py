"""The network below `portals.http`: connections to checked addresses, bounded by an exchange's deadline."""

import socket
import ssl
import threading
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util.ssl_ import create_urllib3_context

from portals import guard
from portals.remote import Unreachable

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 4.0  # less than the usual keep-alive limit of servers (Node.js, Apache: 5 s)
BLOCK = 64 * 1024  # bytes sent at a time


class _PlainSocket(socket.socket):
    """A socket all of whose waits count against the exchange's deadline: dripping gains a server nothing."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_seconds_left())
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(_seconds_left())
        super().sendall(*args, **kwargs)


class _TlsSocket(ssl.SSLSocket):
    """The same over TLS, whose `sendall` is a loop of `send`."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_seconds_left())
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_seconds_left())
        return super().send(*args, **kwargs)


def _seconds_left() -> float:
    left = thread.deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _GuardedConnection(HTTPConnection):
    """A connection to a checked address, not used again after a pause that may make the server close it."""

    _used = 0.0

    def connect(self) -> None:
        thread.connected = True
        try:
            super().connect()
        except (OSError, HTTPError, ssl.CertificateError):
            raise Unreachable(f"No secure connection to {self.host} was possible.", code="connect") from None
        with _open_lock:
            _open.add(self.sock)

    def _new_conn(self) -> socket.socket:
        return guard.open_socket(
            _PlainSocket,
            self.host,
            self.port,
            private=thread.private,
            until=thread.deadline,
            seconds=CONNECT_SECONDS,
        )

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
        self._used = time.monotonic()
        return super().getresponse()

    @property
    def is_connected(self) -> bool:
        return super().is_connected and time.monotonic() - self._used < IDLE_SECONDS


class _GuardedTlsConnection(_GuardedConnection, HTTPSConnection):
    pass


_open: weakref.WeakSet[Any] = weakref.WeakSet()  # sockets
_open_lock = threading.Lock()


def cut_all() -> None:
    """Break every connection of this process off; who waits for an answer on one gets Unreachable."""
    with _open_lock:
        sockets = list(_open)
    for one in sockets:
        with suppress(OSError):  # closed meanwhile
            socket.socket.shutdown(one, socket.SHUT_RDWR)  # not SSLSocket's own, which forgets TLS at once


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _GuardedConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTlsConnection


def _tls_context() -> ssl.SSLContext:
    context = create_urllib3_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    context.sslsocket_class = _TlsSocket
    return context


tls_context = _tls_context()  # reading the authorities takes long, so it is done once


class Adapter(HTTPAdapter):
    """requests' adapter with our connections and TLS context, and without what nobody asks it for."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=tls_context, blocksize=BLOCK)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}

    def get_connection_with_tls_context(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of a host: there are no proxies, and one TLS context for all."""
        return self.poolmanager.connection_from_url(str(request.url))

    def request_url(self, request: PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        """Return what stands in the first line of a request; to a proxy it would be the whole URL."""
        return request.path_url

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """Return an answer of which only `raw` is read: without URL, headers, cookies and encoding."""
        response = Response()
        response.request, response.status_code, response.raw = req, resp.status, resp
        return response

    def cert_verify(self, conn: Any, *args: Any, **kwargs: Any) -> None:
        """Leave it to the TLS context, which verifies; requests would read the authorities each time."""


class _Thread(threading.local):
    """A thread's own connections, and the exchange that is under way on them."""

    def __init__(self) -> None:
        self.adapter = Adapter(pool_connections=8, pool_maxsize=1)
        self.host = ""
        self.deadline = 0.0  # monotonic
        self.private = False
        self.connected = False  # whether the exchange opened a new connection


thread = _Thread()
