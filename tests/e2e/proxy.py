"""A port in front of a server, which can be shut and opened again."""

import selectors
import socket
import socketserver
import threading
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

CHUNK = 64 * 1024


class Proxy:
    """Passes everything on to the server of `url`; `self.url` is the same address by way of the proxy."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "localhost", parts.port or 6379)
        self._server = _Server(("127.0.0.1", 0), self._target)
        self._port = self._server.server_address[1]
        user, at, _host = parts.netloc.rpartition("@")
        self.url = urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self._port}"))
        self._serve()

    def shut(self) -> None:
        """Cut every connection and refuse new ones."""
        self._server.shutdown()
        self._server.server_close()
        self._server.cut()

    def open(self) -> None:
        """Take connections again, at the same address."""
        self._server = _Server(("127.0.0.1", self._port), self._target)
        self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], target: tuple[str, int]) -> None:
        self.target = target
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Connection)

    def cut(self) -> None:
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Connection(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        with suppress(OSError), socket.create_connection(self.server.target) as upstream:
            self.server.connections.add(self.request)
            try:
                pass_on(self.request, upstream)
            finally:
                self.server.connections.discard(self.request)


def pass_on(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes both ways until either side ends."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(one, selectors.EVENT_READ, other)
        waiting.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _events in waiting.select():
                data = key.fileobj.recv(CHUNK)  # type: ignore[union-attr]  # a socket
                if not data:
                    return
                key.data.sendall(data)
