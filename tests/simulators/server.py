"""Serves a world on a local port, with threads and persistent connections."""

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.types import WSGIEnvironment

from flask import Flask, Response, jsonify, request, send_from_directory
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from tests.simulators import control, graph, partner_hook, sns, telegram_api, viber_api
from tests.simulators.contract import RefusedError
from tests.simulators.faults import Wire
from tests.simulators.uspacy import routes as uspacy

if TYPE_CHECKING:
    from tests.simulators.world import World

PAGE = Path(__file__).parent / "page"
ROUTES = (
    uspacy.routes,
    sns.routes,
    partner_hook.routes,
    telegram_api.routes,
    viber_api.routes,
    graph.routes,
    control.routes,
)


@contextmanager
def serve(world: "World", port: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve until the block ends; yields the base URL.

    The end cuts every connection, so that to the app the world is down; the same world can be served again on
    the same port.
    """
    server = Server(host, port, Wire(world, create_app(world)), Handler)
    world.base_url = f"http://{host}:{server.port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield world.base_url
    finally:
        server.shutdown()
        thread.join()
        server.cut_connections()


def create_app(world: "World") -> Flask:
    """Everything behind the wire: Uspacy, SNS, the messengers, the control API and the page."""
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    for routes in ROUTES:
        app.register_blueprint(routes(world))

    @app.errorhandler(RefusedError)
    def refuse(refusal: RefusedError) -> tuple[Response, int]:
        if refusal.breach:
            world.breach(f"{request.method} {request.path}: {refusal.breach}")
        return jsonify(refusal.body), refusal.status

    @app.get("/")
    def index() -> Response:
        return send_from_directory(PAGE, "index.html", max_age=0)

    @app.get("/page/<path:name>")
    def page(name: str) -> Response:
        return send_from_directory(PAGE, name, max_age=0)

    return app


class Handler(WSGIRequestHandler):
    """Werkzeug closes the connection after every request; this one keeps it, as the real services do."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes

    def run_wsgi(self) -> None:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            started[:] = [(status, headers)]

        try:
            body = self.server.app(self._environ(), start_response)
            self._answer(*started[0], body)
        except ConnectionError:
            self.close_connection = True

    def _environ(self) -> WSGIEnvironment:
        """With the whole body read: what a view leaves unread must not be taken for the next request."""
        environ = self.make_environ()
        if "wsgi.input_terminated" in environ:  # chunked
            content = environ["wsgi.input"].read()
        else:
            length = int(environ.get("CONTENT_LENGTH") or 0)
            content = self.rfile.read(length)
            if len(content) < length:
                raise ConnectionAbortedError("the client left in the middle of a body")
        environ["wsgi.input"] = io.BytesIO(content)
        return environ

    def _answer(self, status: str, headers: list[tuple[str, str]], body: Any) -> None:
        code, _, reason = status.partition(" ")
        names = {name.lower() for name, _ in headers}
        has_body = self.command != "HEAD" and code not in ("204", "304")
        chunked = has_body and "content-length" not in names
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for part in body:
                if part and has_body:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
            if chunked:
                self.wfile.write(b"0\r\n\r\n")
        finally:
            if hasattr(body, "close"):
                body.close()

    def log_request(self, *args: Any) -> None:
        """Silent; the world keeps a log."""


class Server(ThreadedWSGIServer):
    """Knows its open connections, so that stopping it also ends those that are kept alive."""

    def __init__(self, *args: Any) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
