"""The wire, its faults, and the server."""

import http.client
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.simulator_tests.conftest import DOMAIN, Client
from tests.simulator_tests.recorder import Recorder
from tests.simulators import Partner, Portal, World, serve
from tests.simulators.__main__ import set_the_scene
from tests.simulators.courier import Courier

Json = dict[str, Any]
MESSAGES = "/messenger/v1/messages"
LINES = "/messenger/v1/external-lines"


@pytest.mark.parametrize(
    ("options", "status", "retry_after"),
    [
        ({}, 503, None),
        ({"code": 429, "retry_after": 7}, 429, "7"),
        ({"code": 500, "retry_after": "Fri, 01 Jan 2027 00:00:00 GMT"}, 500, "Fri, 01 Jan 2027 00:00:00 GMT"),
    ],
)
def test_a_status_fault_answers_instead(
    world: World, client: Client, options: Json, status: int, retry_after: str | None
) -> None:
    world.faults.add(r"/external-lines$", "status", body={"message": "no"}, **options)
    answer = client.call("POST", LINES, json=client.line())
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, retry_after)
    assert answer.json() == {"message": "no"}
    assert client.call("GET", LINES).json() == []  # and only once


def test_a_fault_can_be_narrowed_down(world: World, client: Client) -> None:
    world.faults.add("lines", "status", domain="other.uspacy.ua")
    world.faults.add("lines", "status", method="POST", times=2)
    assert client.call("GET", LINES).status_code == 200
    assert [client.call("POST", LINES, json=client.line()).status_code for _ in range(3)] == [503, 503, 201]
    world.faults.add("lines", "status", times=9)
    world.faults.clear()
    assert client.call("GET", LINES).status_code == 200


def test_a_cut_request_is_not_processed(world: World, portal: Portal, client: Client, chat: Json) -> None:
    world.faults.add(MESSAGES, "cut")
    with pytest.raises(requests.ConnectionError):
        client.call("POST", MESSAGES, json=client.message(chat))
    assert portal.messages == {}
    assert world.requests.matching(MESSAGES)[-1].status == 0


def test_a_request_can_be_processed_and_then_cut(world: World, portal: Portal, client: Client, chat: Json) -> None:
    world.faults.add(MESSAGES, "stored_then_cut")
    body = client.message(chat)
    with pytest.raises(requests.ConnectionError):
        client.call("POST", MESSAGES, json=body)
    assert list(portal.messages) == [body["id"]]
    assert "E11000" in client.call("POST", MESSAGES, json=body).json()["message"]


def test_a_hanging_request_is_not_processed(world: World, portal: Portal, client: Client, chat: Json) -> None:
    world.faults.add(MESSAGES, "hang", seconds=0.3)
    with pytest.raises(requests.ReadTimeout):
        client.session.post(client.url(MESSAGES), json=client.message(chat), timeout=0.1)
    time.sleep(0.4)
    assert portal.messages == {}


def test_a_slow_request_is_processed_all_the_same(
    world: World, portal: Portal, client: Client, chat: Json
) -> None:
    world.faults.add(MESSAGES, "slow", times=2, seconds=0.3)
    started = time.monotonic()
    assert client.call("POST", MESSAGES, json=client.message(chat)).status_code == 201
    assert time.monotonic() - started >= 0.3
    with pytest.raises(requests.ReadTimeout):
        client.session.post(client.url(MESSAGES), json=client.message(chat), timeout=0.1)
    assert world.wait_for(lambda: len(portal.messages) == 2)


def test_the_partners_hook_has_faults_too(world: World, partner: Partner) -> None:
    world.faults.add(r"^/partner/shop/hook$", "cut")
    with pytest.raises(requests.ConnectionError):
        requests.post(partner.hook, json={}, timeout=10)
    assert world.breaches == []


def test_an_unknown_kind_of_fault_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="explode"):
        world.faults.add("x", "explode")  # type: ignore[arg-type]


def test_latency_slows_everything_down(world: World, client: Client) -> None:
    world.latency = 0.2
    started = time.monotonic()
    client.call("GET", LINES)
    assert time.monotonic() - started >= 0.2
    assert world.requests.matching("external-lines")[0].seconds >= 0.2


def test_requests_are_logged(world: World, client: Client) -> None:
    client.call("GET", LINES)
    client.call("GET", f"{LINES}/unknown")
    requests.get(f"{world.base_url}/control/state", timeout=10)
    first, second = world.requests
    assert (first.method, first.path, first.domain, first.status) == (
        "GET",
        f"/uspacy/{DOMAIN}{LINES}",
        DOMAIN,
        200,
    )
    assert second.status == 404
    assert abs(first.at - time.time()) < 60
    world.requests.clear()
    assert len(world.requests) == 0


# The server


def test_connections_are_kept_alive_whatever_was_left_unread(world: World, client: Client) -> None:
    connection = http.client.HTTPConnection(urlsplit(world.base_url).netloc, timeout=10)
    connection.connect()
    socket = connection.sock
    for _ in range(3):
        connection.request("POST", f"/uspacy/{DOMAIN}{LINES}", body=b"GET / HTTP/1.1\r\n\r\n" * 100)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 400
    assert connection.sock is socket
    connection.close()


def test_a_kept_connection_has_no_delay(client: Client) -> None:
    client.call("GET", LINES)
    started = time.monotonic()
    for _ in range(20):
        client.call("GET", LINES)
    assert time.monotonic() - started < 0.6  # 40 ms each with Nagle's algorithm


def test_a_chunked_body_is_read(client: Client) -> None:
    body = b'{"client_id":"a","client_secret":"b"}'
    headers = {"Authorization": None, "Content-Type": "application/json"}
    answer = client.call("POST", "/auth/v1/auth/app_sign_in", data=iter([body[:9], body[9:]]), headers=headers)
    assert answer.status_code == 401  # understood, and refused


def test_a_stopped_world_is_down_for_kept_connections_too(app: Recorder) -> None:
    world = World(app.url)
    portal = world.uspacy.create_portal(DOMAIN)
    client = Client(world, portal)
    with serve(world):
        assert client.call("GET", LINES).status_code == 200
        port = urlsplit(world.base_url).port
    with pytest.raises(requests.ConnectionError):
        client.call("GET", LINES)
    with serve(world, port or 0):
        assert client.call("GET", LINES).status_code == 200
    world.close()


def test_many_may_call_at_once(portal: Portal, client: Client, chat: Json) -> None:
    def write() -> None:
        one = Client(client.world, portal)
        for _ in range(10):
            assert one.call("POST", MESSAGES, json=one.message(chat)).status_code == 201

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(portal.messages) == 80


def test_the_demo_scene_is_set_once_the_app_is_up(world: World, app: Recorder) -> None:
    world.sns.confirmed = True  # the recorder confirms nothing
    app.answers = [503, 200, 200, 200, 201]
    app.body = b'{"id":"key","status":"active","webhook_url":"%s/in","secret":"whsec_AAAA"}' % app.url.encode()
    set_the_scene(world)
    assert world.settle()
    assert [call.path for call in app.calls] == [
        *("/health/live", "/health/live", "/webhooks/uspacy", "/portals/install", "/api/lines/", "/in"),
    ]
    (messenger,) = world.messengers.values()
    assert messenger.connected
    assert len(messenger.customers) == 2


# Background work


def test_jobs_of_a_key_run_in_order_and_a_waiting_one_lets_others_pass() -> None:
    courier, done = Courier(), []
    tries = iter([0.1, None])

    def stubborn() -> float | None:
        delay = next(tries)
        done.append(f"stubborn {delay}")
        return delay

    courier.submit("a", stubborn)
    for number in range(5):
        courier.submit("a", lambda number=number: done.append(number))  # type: ignore[misc]
    assert not courier.idle(0.01)
    assert courier.idle(5)
    assert done == ["stubborn 0.1", 0, 1, 2, 3, 4, "stubborn None"]
    courier.close()


def test_a_job_that_breaks_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    courier, done = Courier(), []
    courier.submit("a", lambda: 1 / 0)
    courier.submit("a", lambda: done.append(1))  # type: ignore[func-returns-value]
    assert courier.idle(5)
    assert done == [1]
    assert "ZeroDivisionError" in capsys.readouterr().err
    courier.close()


def test_waiting_ends_with_the_condition(world: World) -> None:
    threading.Timer(0.1, lambda: world.breach("late")).start()
    assert world.wait_for(lambda: world.breaches, timeout=5) == ["late"]
    assert world.wait_for(lambda: False, timeout=0.1) is False
