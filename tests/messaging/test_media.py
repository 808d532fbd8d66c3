"""`GET /media/...`: an operator's file for messengers that fetch it themselves; and files on their way through."""

import io
import json
import threading
import tracemalloc
import uuid
from contextlib import ExitStack
from datetime import timedelta
from email.message import Message as Header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest
import time_machine
from django.core import signing
from django.utils import timezone

from externallines.models import ExternalLine
from messaging import services, transfer, views
from messaging.models import Attachment, Chat, Delivery, Message
from portals import gate
from portals.models import Portal
from tests.simulators import outgoing

pytestmark = pytest.mark.django_db(transaction=True)

MIB = 1024 * 1024
LARGE = 30 * MIB


@pytest.fixture
def chat(world, portal):
    line = ExternalLine.objects.create(
        portal=portal,
        channel="webhook",
        name="Shop",
        external_id="shop",
        uspacy_id="65a0f1b2c3d4e5f60718293a",
        status="active",
    )
    return Chat.objects.create(line=line, external_id="ann", uspacy_id=uuid.uuid4(), in_uspacy=True)


@pytest.fixture
def attach(world, portal, chat):
    """An attachment of an operator's message, whose content is in the stand-in Uspacy."""

    def attach(name="prices.pdf", content=b"%PDF-1.4", mime_type="application/pdf", direction="out"):
        message = Message.objects.create(chat=chat, uspacy_id=uuid.uuid4(), direction=direction)
        file = world.uspacy.portals[portal.domain].add_file(
            "content", content, str(message.uspacy_id), 41, world.base_url
        )
        return Attachment.objects.create(
            message=message, name=name, mime_type=mime_type, size=len(content), source={"url": file["url"]}
        )

    return attach


def get(url):
    return outgoing.call("GET", url)


def file_name(answer):
    """The name that a browser would give the file."""
    header = Header()
    header["Content-Disposition"] = answer.headers["Content-Disposition"]
    return header.get_filename()


# What is served


def test_the_url_gives_the_files_bytes_to_anyone_who_has_it(world, attach):
    attachment = attach(content=bytes(range(256)) * 100)
    url = transfer.attachment_url(attachment)
    assert url.startswith(f"{world.app_url}/media/")
    assert url.endswith("/prices.pdf")
    answer = get(url)
    assert (answer.status_code, answer.content) == (200, bytes(range(256)) * 100)
    assert answer.headers["Content-Length"] == "25600"
    assert answer.headers["Content-Type"] == "application/pdf"
    assert file_name(answer) == "prices.pdf"


def test_a_file_is_nothing_that_a_browser_would_run(attach):
    answer = get(transfer.attachment_url(attach("page.html", b"<script>alert(1)</script>", "text/html")))
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, max-age=86400"


def test_a_file_that_needs_the_portals_token_is_served_too(world, portal, attach):
    world.uspacy.portals[portal.domain].files_need_token = True
    assert get(transfer.attachment_url(attach())).content == b"%PDF-1.4"


def test_an_empty_file_is_served(attach):
    answer = get(transfer.attachment_url(attach(content=b"")))
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "name",
    [
        "2024/01/prices.pdf",
        "Прайс лист — 2024 👋.pdf",
        'the "best" prices.pdf',
        "a\\b.pdf",
        "100% ?#&;=+.pdf",
        "../../etc/passwd",
        "ends with a slash/",
        "'; DROP TABLE--",
    ],
)
def test_any_name_is_served(attach, name):
    url = transfer.attachment_url(attach(name))
    assert unquote(urlsplit(url).path).endswith(f"/{name}")
    answer = get(url)
    assert (answer.status_code, answer.content) == (200, b"%PDF-1.4")
    assert answer.headers["Content-Disposition"].isascii()
    assert "\n" not in answer.headers["Content-Disposition"]
    last = name.rpartition("/")[2]
    if name.isascii():
        assert file_name(answer) == (last or None)
    else:
        assert unquote(answer.headers["Content-Disposition"].partition("''")[2]) == last


def test_the_name_in_the_url_does_not_matter(attach):
    url = transfer.attachment_url(attach())
    answer = get(f"{url.rpartition('/')[0]}/other.exe")
    assert (answer.status_code, file_name(answer)) == (200, "prices.pdf")


def test_under_a_prefix_the_url_leads_to_the_file(world, settings, attach):
    settings.URL_PREFIX = "uspacy/lines"
    assert transfer.attachment_url(attach()).startswith(f"{world.app_url}/uspacy/lines/media/")


# What is not


def test_a_url_works_for_days_but_not_for_ever(attach):
    url = transfer.attachment_url(attach())
    with time_machine.travel(timezone.now() + timedelta(days=6, hours=23)):
        assert transfer.attachment_of_url(urlsplit(url).path.split("/")[2]) is not None
    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1)):
        assert get(url).status_code == 404


def test_a_changed_url_gives_nothing(attach):
    attachment, other = attach(), attach()
    url, token = transfer.attachment_url(attachment), signing.dumps(attachment.pk, salt=transfer.URL_SALT)
    base = url.partition("/media/")[0]
    body, _, rest = token.partition(":")
    forged = [
        signing.dumps(attachment.pk, salt="something else"),
        signing.dumps(attachment.pk, salt=transfer.URL_SALT, key="another key"),
        signing.dumps(other.pk, salt=transfer.URL_SALT).partition(":")[0] + ":" + rest,
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        body,
        str(attachment.pk),
        "x" * 200,
    ]
    assert [get(f"{base}/media/{token}/prices.pdf").status_code for token in forged] == [404] * len(forged)
    assert get(url).status_code == 200


def test_a_customers_file_is_not_served(attach):
    assert get(transfer.attachment_url(attach(direction="in"))).status_code == 404


def test_a_file_that_is_no_longer_known_is_not_served(attach):
    attachment = attach()
    url = transfer.attachment_url(attachment)
    attachment.delete()
    assert get(url).status_code == 404


def test_only_get_is_answered(attach):
    url = transfer.attachment_url(attach())
    assert [outgoing.call(method, url).status_code for method in ("POST", "PUT", "DELETE")] == [405] * 3


# When Uspacy does not give the file


def unavailable(answer):
    return answer.status_code == 502 and answer.json()["error"]["code"] == "file_unavailable"


@pytest.mark.parametrize("fault", [{"kind": "status", "code": 500}, {"kind": "cut", "times": 2}])
def test_while_uspacy_is_down_the_file_is_unavailable_and_comes_back(world, attach, fault):
    url = transfer.attachment_url(attach())
    world.faults.add(r"/files/content/", **fault)
    assert unavailable(get(url))
    world.faults.clear()
    gate.reset()
    assert get(url).content == b"%PDF-1.4"


def test_while_a_portals_files_have_no_room_for_another_call_the_file_is_there_later(portal, attach):
    url = transfer.attachment_url(attach())
    with ExitStack() as stack:
        while (files := gate.gate_for(f"{portal.domain} files")).delay() == 0:
            stack.enter_context(files.admitted())
        answer = get(url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert get(url).content == b"%PDF-1.4"


def test_a_file_that_hangs_is_given_up_before_a_server_that_ends_gives_up_on_us(monkeypatch, world, attach):
    monkeypatch.setattr(views, "FETCH_SECONDS", 0.3)
    world.faults.add(r"/files/content/", "hang", seconds=30)
    assert unavailable(get(transfer.attachment_url(attach())))


def test_a_file_that_uspacy_has_deleted_is_unavailable(world, portal, attach):
    attachment = attach()
    world.uspacy.portals[portal.domain].files.clear()
    assert unavailable(get(transfer.attachment_url(attachment)))


@pytest.mark.parametrize("status", ["uninstalled", "needs_reinstall"])
def test_a_file_of_a_portal_that_is_gone_is_unavailable(world, attach, status):
    url = transfer.attachment_url(attach())
    Portal.objects.update(status=status)
    calls = len(world.requests.matching("/files/content/"))
    assert unavailable(get(url))
    assert len(world.requests.matching("/files/content/")) == calls


def test_a_file_above_the_limit_is_unavailable(settings, attach):
    settings.MAX_ATTACHMENT_MB = 1
    assert unavailable(get(transfer.attachment_url(attach(content=b"a" * (MIB + 1)))))


# Large files


class LargeFiles(BaseHTTPRequestHandler):
    """Serves 30 MiB at any address, and takes any upload; it keeps none of it."""

    protocol_version = "HTTP/1.1"
    received: list[int] = []

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(LARGE))
        self.end_headers()
        for _block in range(LARGE // (64 * 1024)):
            self.wfile.write(b"x" * 64 * 1024)

    def do_POST(self):
        left = size = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 64 * 1024)))
        self.received.append(size)
        file = {"id": 1, "originalFilename": "film.mp4", "size": LARGE, "url": "https://x/film.mp4"}
        body = json.dumps({"data": [file]} if self.path.startswith("/files") else {"id": "1"}).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def large_files(world, settings):
    """A portal and a messenger at once, both with large files; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), LargeFiles)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    settings.USPACY_API_URL = url
    LargeFiles.received.clear()
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def peak():
    """The most memory in bytes that was in use at a time since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


@pytest.fixture
def large(chat, large_files):
    def large(direction):
        message = Message.objects.create(chat=chat, uspacy_id=uuid.uuid4(), direction=direction, external_id="m")
        return Attachment.objects.create(
            message=message, name="film.mp4", mime_type="video/mp4", source={"url": f"{large_files}/film.mp4"}
        )

    return large


def test_a_large_file_is_served_without_being_held_in_memory(client, large, peak):
    url = transfer.attachment_url(large("out"))
    answer = client.get(urlsplit(url).path)
    assert sum(map(len, answer.streaming_content)) == LARGE
    assert peak() < 12 * MIB


def test_a_large_file_is_uploaded_without_being_held_in_memory(large, deliver, peak):
    attachment = large("in")
    services.enqueue(attachment.message, Delivery.Destination.USPACY)
    deliver()
    attachment.refresh_from_db()
    assert attachment.error == ""
    assert attachment.size == LARGE
    assert LARGE < max(LargeFiles.received) < LARGE + 2000
    assert peak() < 12 * MIB


def test_to_fetch_a_file_for_its_messenger_is_a_step_of_its_own(world, attach):
    attachment = attach()
    steps = []
    [file] = transfer.outbound_files(attachment.message, lambda: steps.append(len(fetched(world))))
    into = io.BytesIO()
    file.write_to(into)
    assert into.getvalue() == b"%PDF-1.4"
    assert steps == [0, 1]  # before each of the two times it was fetched: to be measured, and to be sent


def test_a_file_that_cannot_be_fetched_leaves_no_doubt_about_the_message(world, attach):
    [file] = transfer.outbound_files(attach().message, lambda: None)
    world.faults.add("/files/.*", "status", code=503)
    with pytest.raises(transfer.NotFetched):
        file.write_to(io.BytesIO())


def fetched(world):
    return world.requests.matching("/files/.*", "GET")
