"""Who sends or reads as slowly as they can holds up nobody else: the Procfile's own web server shows it."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.e2e.business import Business
from tests.simulators import World
from tests.stack import Stack

CLIENTS = 100  # many more than requests are worked on at a time
LARGEST = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"


def connect(stack: Stack) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(60)
    client.connect(("127.0.0.1", stack.port))
    return client


@contextmanager
def clients(stack: Stack, beginning: str) -> Iterator[list[socket.socket]]:
    """Many clients who send the beginning of a request, and then no more."""
    with ExitStack() as all_of_them:
        opened = [all_of_them.enter_context(connect(stack)) for _number in range(CLIENTS)]
        for client in opened:
            client.sendall(beginning.encode())
        yield opened


def head(path: str, size: int) -> str:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"


def carries_on(shop: Business) -> None:
    """A customer and an operator notice nothing."""
    ann = shop.customer("Ann Miller")
    shop.writes(ann, "Hello")
    shop.rest()
    shop.answers(ann, "Good morning!")
    shop.rest()
    assert shop.texts_in_uspacy(ann) == ["Hello"]
    assert shop.texts_at_customer(ann) == ["Good morning!"]
    told = [attempt for event in shop.world.sns.events for attempt in event.attempts]
    assert told[-1].seconds < 5


def test_unfinished_requests_hold_up_nobody(shop: Business, stack: Stack) -> None:
    shop.rest()  # its line is connected
    with (
        clients(stack, "POST /webhooks/uspacy HTTP/1.1\r\nHost: localhost\r\nContent-Le"),
        clients(stack, head("/webhooks/uspacy", 1000) + "{"),
        clients(stack, head(f"/webhooks/lines/{shop.messenger.inbound_url[-36:]}", 1000) + "{"),
    ):
        carries_on(shop)


def test_answers_that_are_not_read_hold_up_nobody(shop: Business, stack: Stack) -> None:
    with clients(stack, f"GET {LARGEST} HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        carries_on(shop)


def test_a_request_that_comes_byte_by_byte_is_answered_when_it_is_complete(
    shop: Business, world: World, stack: Stack
) -> None:
    shop.rest()
    body = json.dumps(world.sns.envelope({"type": "deal", "domain": shop.domain})).encode()
    request = head("/webhooks/uspacy", len(body)).encode() + body
    answers: list[bytes] = []

    def drip() -> None:
        with connect(stack) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for position in range(len(request)):
                client.sendall(request[position : position + 1])
                world.pause(0.001)
            answers.append(client.recv(100))

    dripping = [threading.Thread(target=drip) for _number in range(20)]
    for thread in dripping:
        thread.start()
    carries_on(shop)
    for thread in dripping:
        thread.join()
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * len(dripping)
