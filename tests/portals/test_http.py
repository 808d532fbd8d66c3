"""The real thing as far as possible: servers on local sockets, some of them ill-behaved on purpose."""

import datetime
import errno
import gzip
import hashlib
import io
import json
import logging
import socket
import ssl
import tempfile
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import responses
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portals import gate, http, transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REAL_GETADDRINFO = socket.getaddrinfo
Handler = Callable[[socket.socket, bytes], bool | None]


@pytest.fixture(autouse=True)
def _public(monkeypatch: pytest.MonkeyPatch) -> None:
    gate.reset()
    monkeypatch.setattr(http, "allow_private_networks", False)


@pytest.fixture
def private(_public: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "allow_private_networks", True)


class Server:
    """Answers each request as `handler(connection, request head)` does, until that returns False."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.handler, self.tls = handler, tls
        self.requests: list[bytes] = []  # heads
        self.bodies: list[bytes] = []
        self.connections = 0
        self.closing = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while head := self._head(stream):
                    self.requests.append(head)
                    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                    self.bodies.append(stream.read(int(length[0].split(b":")[1])) if length else b"")
                    if self.handler(connection, head) is False:
                        return
        except OSError:
            pass

    def _head(self, stream: io.BufferedReader) -> bytes:
        head = b""
        while line := stream.readline():
            head += line
            if line == b"\r\n":
                return head
        return b""

    def drip(self, connection: socket.socket, data: bytes) -> None:
        for position in range(len(data)):
            connection.sendall(data[position : position + 1])
            if self.closing.wait(0.1):
                return


@pytest.fixture
def serve(private: None) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(handler: Handler | bytes, tls: ssl.SSLContext | None = None) -> Server:
        if isinstance(handler, bytes):
            answer = handler

            def handler(connection: socket.socket, head: bytes) -> None:
                connection.sendall(answer)

        servers.append(Server(handler, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.closing.set()
        server.socket.close()


def answered(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def resolve(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let names resolve to the given addresses, one list after the other; return the names asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *args: object, **kwargs: object) -> list[object]:
        asked.append(host)
        addresses = answers[min(len(asked), len(answers)) - 1]
        return [
            entry for address in addresses for entry in REAL_GETADDRINFO(address, port, type=socket.SOCK_STREAM)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


# What is sent and what comes back


def test_an_answer_has_status_headers_and_body(serve):
    server = serve(answered(b'{"a": 1}', "X-Thing: yes", status="201 Created"))
    answer = http.call("POST", server.url + "/x", params={"q": "a b"}, json={"é": 1}, headers={"X-Mine": "1"})
    assert (answer.status, answer.ok, answer.headers["x-thing"], answer.json()) == (
        201,
        True,
        "yes",
        {"a": 1},
    )
    assert server.requests[0].startswith(b"POST /x?q=a+b HTTP/1.1\r\n")
    assert b"\r\nX-Mine: 1\r\n" in server.requests[0]
    assert json.loads(server.bodies[0]) == {"é": 1}


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_status_alone_is_no_error_of_the_call(serve, status):
    assert http.call("GET", serve(answered(b"", status=f"{status} X")).url).status == status


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff\xfe\x00", b"[" * 200_000])
def test_a_body_that_is_not_json_is_a_server_fault(body):
    with pytest.raises(http.ServerFault, match="status 200 is not JSON"):
        http.Answer(200, {}, body).json()


def test_a_redirect_is_not_followed_nor_its_endless_body_read(serve):
    target = serve(OK)

    def redirect(connection, head):
        connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {target.url}\r\n\r\n".encode())
        while True:
            connection.sendall(b"x" * 65536)

    with pytest.raises(http.TooLarge):
        http.call("GET", serve(redirect).url, max_bytes=1000)
    answer = http.call("GET", serve(answered(b"", f"Location: {target.url}", status="302 Found")).url)
    assert (answer.status, target.connections) == (302, 0)
    with pytest.raises(http.ServerFault):
        http.raise_for_status(answer)


def test_cookies_of_one_portal_are_not_sent_for_another(serve):
    server = serve(answered(b"ok", "Set-Cookie: session=portal-a; Path=/"))
    http.call("GET", server.url)
    http.call("GET", server.url)
    assert b"ookie" not in server.requests[1]


def test_proxies_and_credentials_of_the_environment_are_ignored(serve, monkeypatch, tmp_path):
    proxy, server = serve(OK), serve(OK)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", proxy.url)
    http.call("GET", server.url)
    assert (proxy.connections, server.connections) == (0, 1)
    assert b"Authorization" not in server.requests[0]


def test_a_header_that_http_does_not_allow_is_refused_without_being_quoted(serve):
    server = serve(OK)
    for token in ("secret\r\nX-Injected: 1", "секрет"):
        with pytest.raises(http.Refused) as caught:
            http.call("GET", server.url, headers={"X-Token": token})
        assert token[:6] not in "".join(traceback.format_exception(caught.value))
    assert server.connections == 0


def test_calls_can_be_stubbed_with_responses():
    with responses.RequestsMock() as stub:
        stub.get("https://acme.uspacy.ua/x", json={"a": 1})
        assert http.call("GET", "https://acme.uspacy.ua/x").json() == {"a": 1}


# Classification


@pytest.mark.parametrize(
    ("status", "error", "retryable"),
    [
        (301, http.ServerFault, True),
        (400, http.Refused, False),
        (401, http.Unauthorized, False),
        (403, http.Refused, False),
        (404, http.Refused, False),
        (408, http.ServerFault, True),
        (410, http.Refused, False),
        (425, http.ServerFault, True),
        (429, http.Throttled, True),
        (500, http.ServerFault, True),
        (503, http.ServerFault, True),
    ],
)
def test_each_status_has_its_consequence(status, error, retryable):
    with pytest.raises(http.RemoteError) as caught:
        http.raise_for_status(http.Answer(status, {"Retry-After": "7"}, b""), message="Words for staff.")
    assert type(caught.value) is error
    assert (str(caught.value), caught.value.code) == ("Words for staff.", str(status))
    assert (caught.value.retryable, caught.value.retry_after) == (retryable, 7)


def test_success_raises_nothing():
    assert http.raise_for_status(http.Answer(204, {}, b"")) is None


def in_seconds(seconds: int) -> str:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%a, %d %b %Y %H:%M:%S GMT")


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("0", 0, 0),
        ("120", 120, 120),
        ("1.5", 1.5, 1.5),
        (" 30 ", 30, 30),
        ("999999999", 86400, 86400),
        (90, 60, 90),
        (-90, 0, 0),
        (10**6, 86400, 86400),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value, least, most):
    """A whole number stands for the date so many seconds from now."""
    value = in_seconds(value) if isinstance(value, int) else value
    wait = http.retry_after({"Retry-After": value})
    assert wait is not None
    assert least <= wait <= most


@pytest.mark.parametrize("value", ["", "-1", "soon", "nan", "inf", "1e3", "Mon, 99 Foo 2026", "٣", "9" * 400])
def test_a_senseless_retry_after_is_ignored(value):
    assert http.retry_after({"Retry-After": value}) is None
    assert http.retry_after({}) is None


# Time


def test_a_server_that_drips_its_headers_is_left_in_time(serve):
    server = serve(lambda connection, head: server.drip(connection, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000))
    assert_timeout(lambda: http.call("GET", server.url, timeout=0.6))


@pytest.mark.parametrize("head", [b"Content-Length: 1000", b"X: y", b"Transfer-Encoding: chunked"])
def test_a_server_that_drips_its_body_is_left_in_time(serve, head):
    body = b"1\r\nx\r\n" if b"chunked" in head else b"x"

    def drip(connection, _):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
        server.drip(connection, body * 500)

    server = serve(drip)
    assert_timeout(lambda: http.call("GET", server.url, timeout=0.6))
    assert_timeout(lambda: http.download(server.url, io.BytesIO(), max_bytes=9999, timeout=0.6, remote="other"))


def test_a_server_that_keeps_saying_continue_is_left_in_time(serve):
    server = serve(lambda connection, head: server.drip(connection, b"HTTP/1.1 100 Continue\r\n\r\n" * 100))
    assert_timeout(lambda: http.call("GET", server.url, timeout=0.6))


def test_a_server_that_does_not_read_an_upload_is_left_in_time(private):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        form = http.multipart([], [("file", "big", io.BytesIO(bytes(30_000_000)), "text/plain")])
        assert_timeout(lambda: http.call("POST", url, data=form, timeout=0.6))


def test_a_server_that_reads_an_upload_in_sips_is_left_in_time(private):
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

        def sip() -> None:
            connection, _ = listener.accept()
            with connection:
                while not over.wait(0.02):
                    connection.recv(50_000)

        threading.Thread(target=sip, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        form = http.multipart([], [("file", "big", io.BytesIO(bytes(30_000_000)), "text/plain")])
        assert_timeout(lambda: http.call("POST", url, data=form, timeout=0.6))
        over.set()


def test_a_name_server_that_hangs_is_left_in_time(private, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [] if over.wait(20) else [])
    start = time.monotonic()
    with pytest.raises(http.Unreachable, match="slow.example could not be looked up in time") as caught:
        http.call("GET", "http://slow.example/", timeout=0.5)
    assert time.monotonic() - start < 4
    assert caught.value.code == "connect"
    over.set()


def test_a_dead_address_does_not_starve_the_next(serve, monkeypatch):
    server = serve(OK)
    with socket.socket() as full:  # a listener whose queue is full drops connection attempts: they hang
        full.bind(("127.0.0.2", server.port))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(("127.0.0.2", server.port))
        resolve(monkeypatch, ["127.0.0.2", "127.0.0.1"])
        assert http.call("GET", f"http://two.example:{server.port}/", timeout=2).body == b"ok"
        for client in waiting:
            client.close()


def assert_timeout(call: Callable[[], object]) -> None:
    start = time.monotonic()
    with pytest.raises(http.Unreachable, match=r"127\.0\.0\.1 did not answer in time") as caught:
        call()
    assert 0.5 < time.monotonic() - start < 4
    assert caught.value.code == "timeout"


# Size


def test_a_body_announced_too_large_is_not_read(serve):
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")  # and the body never comes
    with pytest.raises(http.TooLarge, match=r"127\.0\.0\.1 sent more than the 100 bytes"):
        http.call("GET", server.url, max_bytes=100)


def test_a_body_that_grows_too_large_is_cut(serve):
    def endless(connection, head):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    server = serve(endless)
    with pytest.raises(http.TooLarge):
        http.call("GET", server.url, max_bytes=1_000_000)
    with pytest.raises(http.TooLarge):
        http.download(server.url, io.BytesIO(), max_bytes=1_000_000)


def test_a_body_of_exactly_the_limit_is_accepted(serve):
    assert http.call("GET", serve(answered(b"x" * 100)).url, max_bytes=100).body == b"x" * 100


@pytest.mark.parametrize("times", [1, 2])
def test_a_decompression_bomb_fills_no_memory(serve, times):
    bomb = bytes(150_000_000)
    for _ in range(times):
        bomb = gzip.compress(bomb, compresslevel=6)
    server = serve(answered(bomb, "Content-Encoding: " + ", ".join(["gzip"] * times)))
    tracemalloc.start()
    with pytest.raises(http.TooLarge):
        http.call("GET", server.url, max_bytes=1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000


def test_a_compressed_body_is_decoded(serve):
    server = serve(answered(gzip.compress(b"hello"), "Content-Encoding: gzip"))
    assert http.call("GET", server.url).body == b"hello"
    assert b"Accept-Encoding: gzip" in server.requests[0]


def test_a_body_that_cannot_be_decoded_is_a_server_fault(serve):
    with pytest.raises(http.ServerFault, match="cannot be decoded"):
        http.call("GET", serve(answered(b"not gzip", "Content-Encoding: gzip")).url)


# Connections


def test_a_connection_is_kept_for_the_next_call(serve):
    server = serve(OK)
    for _ in range(5):
        assert http.call("POST", server.url, json={}).body == b"ok"
    assert (len(server.requests), server.connections) == (5, 1)


def test_threads_do_not_share_connections(serve):
    server = serve(OK)
    threads = [threading.Thread(target=http.call, args=("GET", server.url)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.connections == 4


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_closed_between_calls_goes_unnoticed(serve, method):
    def answer_and_close(connection, head):
        connection.sendall(OK)
        return False

    server = serve(answer_and_close)
    for _ in range(3):
        assert http.call(method, server.url).body == b"ok"
        time.sleep(0.1)
    assert server.connections == 3


def dies_on_second(server: list[Server]) -> Handler:
    """Answer the first request, cut the connection on the second after reading it, then answer again."""

    def handler(connection: socket.socket, head: bytes) -> bool:
        if len(server[0].requests) == 2:
            return False
        connection.sendall(OK)
        return True

    return handler


def test_a_get_that_meets_a_closing_connection_is_sent_again(serve):
    server: list[Server] = []
    server.append(serve(dies_on_second(server)))
    assert http.call("GET", server[0].url).body == b"ok"
    assert http.call("GET", server[0].url).body == b"ok"
    assert (len(server[0].requests), server[0].connections) == (3, 2)


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_what_may_have_been_processed_is_never_sent_again(serve, method):
    server: list[Server] = []
    server.append(serve(dies_on_second(server)))
    assert http.call("GET", server[0].url).body == b"ok"
    with pytest.raises(http.Unreachable, match=r"127\.0\.0\.1 broke off") as caught:
        http.call(method, server[0].url, json={})
    assert (caught.value.code, len(server[0].requests)) == ("broken", 2)


def test_a_get_on_a_new_connection_is_not_sent_again(serve):
    server = serve(lambda connection, head: False)
    with pytest.raises(http.Unreachable):
        http.call("GET", server.url)
    assert len(server.requests) == 1


def test_a_connection_is_not_used_after_a_long_pause(serve, monkeypatch):
    monkeypatch.setattr(transport, "IDLE_SECONDS", 0.1)
    server = serve(OK)
    for pause in (0, 0.2, 0):
        time.sleep(pause)
        http.call("POST", server.url)
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 20",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_an_answer_cut_off_is_unreachable(serve, answer):
    def cut(connection, head):
        connection.sendall(answer)
        return False

    server = serve(cut)
    with pytest.raises(http.Unreachable):
        http.call("POST", server.url)
    into = io.BytesIO()
    with pytest.raises(http.Unreachable):
        http.download(server.url, into, max_bytes=1000, remote="other")


def test_a_refused_connection_is_unreachable_with_nothing_sent(private):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(http.Unreachable, match=r"127\.0\.0\.1 could not be connected to") as caught:
        http.call("POST", f"http://127.0.0.1:{port}")
    assert caught.value.code == "connect"


def test_an_unknown_name_is_unreachable_with_nothing_sent(private, monkeypatch):
    def fail(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(http.Unreachable, match="The name nowhere.example could not be found") as caught:
        http.call("GET", "http://nowhere.example/")
    assert caught.value.code == "connect"


# Secrets


def test_no_error_and_no_log_line_holds_the_url(serve, caplog):
    caplog.set_level(logging.DEBUG)
    defective = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nbroken header line\r\n\r\nok")
    cut = serve(lambda connection, head: False)
    path = "/bot123:{0}/getMe?key={0}".format("SECR" + "ET")  # noqa: UP032
    http.call("GET", defective.url + path)
    for timeout in (5.0, 0.0001):
        gate.reset()
        with pytest.raises(http.Unreachable) as caught:
            http.call("GET", cut.url + path, timeout=timeout)
        assert "SECRET" not in "".join(traceback.format_exception(caught.value))
    assert "SECRET" not in caplog.text


# Internal addresses


PRIVATE_ADDRESSES = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.0.1",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::127.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC_ADDRESSES = ["8.8.8.8", "149.154.167.220", "2606:4700:4700::1111", "64:ff9b::8.8.8.8"]


def as_host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
def test_an_internal_address_is_refused(address, monkeypatch):
    with pytest.raises(http.ForbiddenAddress, match="not on the public internet"):
        http.check_url(f"https://{as_host(address)}/")
    with pytest.raises(http.ForbiddenAddress):
        http.call("GET", f"https://{as_host(address)}/")
    resolve(monkeypatch, [address])
    with pytest.raises(http.ForbiddenAddress, match="hook.example is not on the public internet"):
        http.call("GET", "https://hook.example/")


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_public_address_is_allowed(address):
    assert http.check_url(f"https://{as_host(address)}/path?x=1") is None


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "017700000001", "127.1", "0x7f.1", "0", "127.0.0.1."]
)
def test_other_notations_of_an_internal_address_are_refused(host):
    with pytest.raises(http.ForbiddenAddress):
        http.check_url(f"https://{host}/")
    with pytest.raises(http.ForbiddenAddress):
        http.call("GET", f"https://{host}/")


def test_localhost_is_refused_when_it_is_called():
    with pytest.raises(http.ForbiddenAddress):
        http.call("GET", "https://localhost/")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "example.com",
        "",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://example.com:80/",
        "https://example.com:22/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://[::1/",
        "https://example.com\\@127.0.0.1/",
        "https://exa mple.com/",
        "https://example.com/\r\nHost: x",
        *(f"https://example.com/a{white}b" for white in "\x1c\x85\xa0\u2028"),
    ],
)
def test_a_url_we_would_not_call_is_refused(url):
    with pytest.raises(http.ForbiddenAddress) as caught:
        http.check_url(url)
    assert "password" not in str(caught.value).replace("user name or password", "")
    with pytest.raises(http.ForbiddenAddress):
        http.call("GET", url)


@pytest.mark.parametrize("url", ["https://example.com", "HTTPS://Example.com:8443/a", "https://пошта.укр/"])
def test_a_public_https_url_is_accepted(url):
    assert http.check_url(url) is None


def test_one_internal_address_among_public_ones_is_refused_before_anything_is_sent(monkeypatch):
    connected: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: connected.append(address))
    resolve(monkeypatch, ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(http.ForbiddenAddress):
        http.call("GET", "https://mixed.example/")
    assert connected == []


def test_the_checked_address_is_the_one_connected_to(serve, monkeypatch):
    checked, rebound = serve(OK), serve(OK)
    asked = resolve(monkeypatch, ["127.0.0.1"], ["127.0.0.9"])
    assert http.call("GET", f"http://rebind.example:{checked.port}/").body == b"ok"
    assert asked == ["rebind.example"]
    assert f"\r\nHost: rebind.example:{checked.port}\r\n".encode() in checked.requests[0]
    assert rebound.connections == 0


def test_a_public_name_that_turns_internal_is_refused_on_the_next_connection(serve, monkeypatch):
    resolve(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    monkeypatch.setattr(http, "allow_private_networks", False)
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: (_ for _ in ()).throw(OSError()))
    with pytest.raises(http.Unreachable):
        http.call("GET", "https://rebind.example/", remote="first")
    with pytest.raises(http.ForbiddenAddress):
        http.call("GET", "https://rebind.example/", remote="second")


def test_userinfo_is_refused_even_where_private_networks_are_allowed(private):
    with pytest.raises(http.ForbiddenAddress):
        http.check_url("http://user:password@127.0.0.1:8000/")
    with pytest.raises(http.ForbiddenAddress):
        http.check_url("ftp://127.0.0.1/")
    assert http.check_url("http://127.0.0.1:8000/") is None


# TLS


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's side for `hooks.example`, with a certificate that we trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file: Path = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + pem
    )
    transport.tls_context.load_verify_locations(cadata=pem.decode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_tls_verifies_the_name_though_the_connection_goes_to_an_address(serve, tls, monkeypatch):
    names: list[str] = []
    monkeypatch.setattr(tls, "sni_callback", lambda sock, name, context: names.append(name))
    server = serve(OK, tls)
    resolve(monkeypatch, ["127.0.0.1"])
    for _ in range(2):
        assert http.call("POST", f"https://hooks.example:{server.port}/", json={}).body == b"ok"
    assert (names, server.connections) == (["hooks.example"], 1)


def test_a_certificate_for_another_name_is_not_accepted(serve, tls, monkeypatch):
    server = serve(OK, tls)
    resolve(monkeypatch, ["127.0.0.1"])
    with pytest.raises(http.Unreachable, match="No secure connection to other.example") as caught:
        http.call("GET", f"https://other.example:{server.port}/")
    assert (caught.value.code, server.requests) == ("connect", [])


def test_a_certificate_nobody_vouches_for_is_not_accepted(serve, tls, monkeypatch):
    server = serve(OK, tls)
    strict = ssl.create_default_context()
    strict.sslsocket_class = transport.tls_context.sslsocket_class
    resolve(monkeypatch, ["127.0.0.1"])
    monkeypatch.setattr(transport, "tls_context", strict)
    failures: list[http.RemoteError] = []

    def call() -> None:  # in a new thread, which makes its connections with the context above
        try:
            http.call("GET", f"https://hooks.example:{server.port}/")
        except http.RemoteError as error:
            failures.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert [type(failure) for failure in failures] == [http.Unreachable]


def test_dripping_over_tls_is_left_in_time(serve, tls, monkeypatch):
    def drip(connection, head):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        server.drip(connection, b"x" * 500)

    server = serve(drip, tls)
    resolve(monkeypatch, ["127.0.0.1"])
    start = time.monotonic()
    with pytest.raises(http.Unreachable, match="did not answer in time"):
        http.call("GET", f"https://hooks.example:{server.port}/", timeout=0.6)
    assert time.monotonic() - start < 4


def test_a_handshake_that_hangs_is_left_in_time(private):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        start = time.monotonic()
        with pytest.raises(http.Unreachable) as caught:
            http.call("GET", f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.6)
    assert time.monotonic() - start < 4
    assert caught.value.code == "connect"


# Downloads and uploads


def test_a_download_tells_size_digest_and_type(serve):
    data = bytes(range(256)) * 2000
    server = serve(answered(data, "Content-Type: Image/PNG; charset=binary"))
    into = io.BytesIO()
    got = http.download(server.url, into, max_bytes=len(data), headers={"Authorization": "Bearer x"})
    assert got == http.Download(len(data), hashlib.sha256(data).hexdigest(), "image/png")
    assert into.getvalue() == data
    assert b"Accept-Encoding: identity" in server.requests[0]
    assert b"Authorization: Bearer x" in server.requests[0]


def test_a_download_without_a_type_is_plain_bytes(serve):
    assert http.download(serve(OK).url, io.BytesIO(), max_bytes=9).mime_type == "application/octet-stream"


def test_a_refused_download_writes_nothing(serve):
    into = io.BytesIO()
    with pytest.raises(http.Refused) as caught:
        http.download(serve(answered(b"no", status="404 Not Found")).url, into, max_bytes=9)
    assert (caught.value.code, into.getvalue()) == ("404", b"")


def test_a_full_disk_is_not_blamed_on_the_remote_side(serve):
    class FullDisk(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        http.download(serve(OK).url, FullDisk(), max_bytes=9)


def test_a_large_file_is_uploaded_without_being_read_into_memory(serve):
    server = serve(OK)
    with tempfile.TemporaryFile() as file:
        file.write(b"skipped")
        file.truncate(50_000_007)
        tracemalloc.start()
        file.seek(7)
        form = http.multipart([("entityId", "m1")], [("files[]", 'Кіт "1"\r\n.jpg', file, "image/jpeg")])
        http.call("POST", server.url, data=form, headers={"Content-Type": form.content_type})
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    body = server.bodies[0]
    assert f"Content-Type: {form.content_type}".encode() in server.requests[0]
    assert b'name="entityId"\r\n\r\nm1\r\n' in body
    assert 'name="files[]"; filename="Кіт %221%22%0D%0A.jpg"'.encode() in body
    assert b"Content-Type: image/jpeg\r\n\r\n\0" in body
    assert body.count(b"\0") == 50_000_000
    assert peak - len(body) < 5_000_000  # the server holds one copy


@pytest.mark.parametrize("make", [io.BytesIO, tempfile.SpooledTemporaryFile, tempfile.TemporaryFile])
def test_a_file_is_uploaded_from_where_it_stands(serve, make):
    server = serve(OK)
    with make() as file:
        file.write(b"head tail")
        file.seek(5)
        form = http.multipart([], [("f", "a.txt", file, "text/plain")])
        http.call("POST", server.url, data=form, headers={"Content-Type": form.content_type})
    assert b"\r\n\r\ntail\r\n--" in server.bodies[0]


def test_a_file_that_shrinks_while_it_is_sent_does_not_hang_us(serve):
    class Shrinking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return b""

    form = http.multipart([], [("f", "a.txt", Shrinking(b"promised"), "text/plain")])
    with pytest.raises(http.Unreachable):
        http.call("POST", serve(OK).url, data=form, timeout=0.6)


# The gate


def test_a_host_that_fails_is_not_asked_again_at_once(serve):
    server = serve(answered(b"", status="503 Unavailable"))
    assert http.call("GET", server.url).status == 503
    with pytest.raises(http.Busy) as caught:
        http.call("GET", server.url)
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 60
    with pytest.raises(http.Busy):
        http.download(server.url, io.BytesIO(), max_bytes=9)
    assert len(server.requests) == 1
    assert http.call("GET", server.url, remote="another portal").status == 503


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_does_not_shut_the_gate(serve, status):
    server = serve(answered(b"", status=f"{status} X"))
    for _ in range(3):
        assert http.call("GET", server.url).status == status
        with pytest.raises(http.RemoteError):
            http.download(server.url, io.BytesIO(), max_bytes=9)


@pytest.mark.parametrize("downloads", [False, True])
def test_a_host_that_asks_us_to_slow_down_is_left_alone(serve, downloads):
    server = serve(answered(b"", "Retry-After: 30", status="429 Too Many Requests"))
    if downloads:
        with pytest.raises(http.Throttled):
            http.download(server.url, io.BytesIO(), max_bytes=9)
    else:
        assert http.call("GET", server.url).status == 429
    with pytest.raises(http.Busy) as caught:
        http.call("GET", server.url)
    assert caught.value.retry_after == pytest.approx(30, abs=2)
    assert len(server.requests) == 1


def test_a_fault_that_is_normal_for_the_api_does_not_shut_the_gate(serve):
    server = serve(answered(b"duplicate", status="500 X"))
    for _ in range(3):
        assert http.call("GET", server.url, expected=lambda answer: answer.body == b"duplicate").status == 500


def test_a_failing_download_shuts_the_gate(serve):
    server = serve(answered(b"", status="500 X"))
    with pytest.raises(http.ServerFault):
        http.download(server.url, io.BytesIO(), max_bytes=9)
    with pytest.raises(http.Busy):
        http.download(server.url, io.BytesIO(), max_bytes=9)


def test_a_process_that_has_to_end_breaks_off_what_is_under_way(serve: Callable[[Handler], Server]) -> None:
    arrived, done = threading.Event(), threading.Event()

    def hang(connection: socket.socket, head: bytes) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nthe first half")
        arrived.set()
        done.wait(30)
        return False

    server, failures = serve(hang), []

    def fetch() -> None:
        try:
            http.download(server.url, io.BytesIO(), max_bytes=1000)
        except http.Unreachable as exc:
            failures.append(exc.code)

    thread = threading.Thread(target=fetch)
    thread.start()
    assert arrived.wait(10)
    http.cut_off(after=0)
    thread.join(20)
    done.set()
    assert failures == ["broken"]
