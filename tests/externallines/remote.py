"""A messenger's API as a channel sees it: a real local server that answers as it was told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Call:
    """A request that arrived; the names of `headers` are in lower case."""

    method: str
    path: str  # with the query
    headers: dict[str, str]
    body: bytes


class Remote:
    """Answers every request alike, until it is told otherwise."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls: list[Call] = []
        self._hanging = threading.Event()
        self.answer()

    def answer(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """Give a whole answer; `retry_after` stands for Retry-After."""
        named = {"Content-Length": str(len(body))} | {name.replace("_", "-"): headers[name] for name in headers}
        head = [f"HTTP/1.1 {status} Answer", *(f"{name}: {value}" for name, value in named.items()), "", ""]
        self._reply("\r\n".join(head).encode() + body)

    def cut(self, after: bytes = b"") -> None:
        """Close the connection, `after` a part of an answer."""
        self._reply(after, cut=True)

    def hang(self) -> None:
        """Take requests and answer none, until told otherwise."""
        self._reply(b"", cut=True)
        self._hanging.clear()

    def serve(self, call: Call) -> tuple[bytes, bool]:
        """What to answer, and whether to close the connection then."""
        self.calls.append(call)
        self._hanging.wait()
        return self._bytes, self._cut

    def _reply(self, raw: bytes, *, cut: bool = False) -> None:
        self._bytes, self._cut = raw, cut
        self._hanging.set()


@contextmanager
def serve_remote(kind: type[Remote] = Remote) -> Iterator[Any]:
    """Serve a remote of that kind until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def take(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer, self.close_connection = remote.serve(Call(self.command, self.path, headers, body))
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_DELETE = take  # noqa: N815  as http.server calls them

        def log_message(self, *args: object) -> None:
            """Silent: `calls` is the log."""

        def handle(self) -> None:
            with suppress(ConnectionError):  # a client that has read enough
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    remote = kind(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield remote
    finally:
        remote.cut()
        server.shutdown()
        server.server_close()
