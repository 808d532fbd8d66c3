"""What goes wrong around the processes, and to them: nothing is lost, nothing comes twice, order holds."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import psycopg
import redis
from django.core import signing

from messaging.transfer import URL_SALT
from tests.e2e.business import PATIENCE, Business
from tests.e2e.proxy import Proxy
from tests.simulators import Customer, World, outgoing
from tests.stack import WEB_PROCESSES, WEB_THREADS, Stack

MESSAGES = "/messenger/v1/messages$"
HOOK = "/hook$"
TEXTS = ["one", "two", "three"]


def a_chat(shop: Business, name: str = "Ann Miller") -> Customer:
    """A customer whose chat is there and at rest."""
    customer = shop.customer(name)
    shop.writes(customer, "Hello")
    shop.rest()
    return customer


def let_the_leases_lapse(shop: Business) -> None:
    """As if the time of a lease had passed since a worker took its deliveries and died."""
    shop.query("UPDATE messaging_delivery SET available_at = now() - interval '10 s' WHERE status = 'open'")


def test_a_killed_worker_loses_nothing_and_repeats_nothing_in_uspacy(
    shop: Business, world: World, stack: Stack
) -> None:
    chats = [a_chat(shop, name) for name in ("Ann", "Bob", "Cid")]
    never_stored = world.faults.add(MESSAGES, "hang", 1, shop.domain, "POST", seconds=2)
    stored_later = world.faults.add(MESSAGES, "slow", 2, shop.domain, "POST", seconds=2)
    for text in TEXTS:
        for customer in chats:
            shop.writes(customer, text)
    assert world.wait_for(lambda: never_stored.times == stored_later.times == 0, PATIENCE)
    stack.kill("worker")
    let_the_leases_lapse(shop)
    stack.start("worker")
    shop.rest()
    for customer in chats:
        assert shop.texts_in_uspacy(customer) == ["Hello", *TEXTS]
    assert shop.failures() == []


def test_an_answer_on_its_way_when_the_worker_is_killed_reaches_the_customer_once(
    shop: Business, world: World, stack: Stack
) -> None:
    ann = a_chat(shop)
    underway = world.faults.add(HOOK, "slow", seconds=2)
    answers = [shop.answers(ann, text) for text in TEXTS]
    assert world.wait_for(lambda: underway.times == 0, PATIENCE)
    stack.kill("worker")
    let_the_leases_lapse(shop)
    stack.start("worker")
    shop.rest()
    assert shop.texts_at_customer(ann) == TEXTS
    assert shop.messenger.repeats <= 1  # the one of a crash between sending and recording
    assert shop.messenger.misordered == []
    assert [shop.status(answer) for answer in answers] == ["delivered"] * 3


def test_a_terminated_worker_finishes_the_calls_under_way_and_leaves_the_rest(
    shop: Business, world: World, stack: Stack
) -> None:
    chats, texts = [a_chat(shop, name) for name in ("Ann", "Bob")], [str(number) for number in range(30)]
    world.requests.clear()
    world.latency = 0.5
    for text in texts:
        for customer in chats:
            shop.writes(customer, text)
    assert world.wait_for(lambda: len(world.requests.matching(MESSAGES, "POST")) >= 4, PATIENCE)
    asked = time.monotonic()
    assert stack.stop("worker"), "it had to be killed"
    assert time.monotonic() - asked < 8  # to work the backlog off takes 15 seconds
    assert shop.waiting() > len(texts)
    made = len(world.requests.matching(MESSAGES, "POST"))
    assert sum(len(shop.in_uspacy(customer)[1:]) for customer in chats) == made
    world.latency = 0.0
    stack.start("worker")
    shop.rest()
    for customer in chats:
        assert shop.texts_in_uspacy(customer) == ["Hello", *texts]
    assert len(world.requests.matching(MESSAGES, "POST")) == 2 * len(texts)  # no call was made twice


def test_an_emptied_broker_loses_nothing(shop: Business, world: World, stack: Stack) -> None:
    ann = a_chat(shop)
    stack.stop("worker")
    with redis.Redis.from_url(stack.redis_url) as broker:
        for text in TEXTS:
            shop.writes(ann, text)
        world.settle(PATIENCE)
        assert world.wait_for(lambda: broker.llen("messages") > 0, PATIENCE)
        broker.flushdb()
    stack.start("worker")
    shop.rest()
    shop.answers(ann, "Good morning!")
    shop.rest()
    assert shop.texts_in_uspacy(ann) == ["Hello", *TEXTS]
    assert shop.texts_at_customer(ann) == ["Good morning!"]


def test_webhooks_are_taken_fast_without_the_broker_and_delivered_when_it_is_back(
    shop: Business, world: World, broker: Proxy
) -> None:
    ann, bob = a_chat(shop, "Ann"), a_chat(shop, "Bob")
    texts = [f"message {number}" for number in range(20)]
    broker.shut()
    try:
        shop.messenger.write(bob, "first", wait=True)  # the one announcement of his chat is lost
        sent = [shop.messenger.write(ann, text, wait=True) for text in texts]
        answers = [shop.answers(ann, text) for text in texts]
        world.settle(PATIENCE)
        told = list(world.sns.events)[-len(answers) :]
        assert all(event.accepted for event in sent)
        assert [event.attempts[0].status for event in told] == [200] * len(answers)
        assert statistics.median(event.attempts[0].seconds for event in sent) < 0.1
        assert statistics.median(event.attempts[0].seconds for event in told) < 0.1
        assert shop.waiting() == 1 + len(texts) + len(answers)
    finally:
        broker.open()
    shop.rest()
    assert shop.texts_in_uspacy(bob) == ["Hello", "first"]
    assert shop.texts_in_uspacy(ann) == ["Hello", *texts]
    assert shop.texts_at_customer(ann) == texts


def test_whatever_uspacy_answers_every_message_is_there_once_and_in_order(
    new_business: Callable[..., Business], world: World
) -> None:
    shops = {fault: new_business() for fault in ("500", "429", "hang", "cut", "stored_then_cut")}
    chats = {fault: a_chat(shop) for fault, shop in shops.items()}
    world.requests.clear()
    for fault, shop in shops.items():
        if fault.isdigit():
            world.faults.add(MESSAGES, "status", 1, shop.domain, "POST", code=int(fault), retry_after=3)
        else:
            world.faults.add(MESSAGES, fault, 1, shop.domain, "POST", seconds=1)  # type: ignore[arg-type]
    for text in TEXTS:
        for fault, shop in shops.items():
            shop.writes(chats[fault], text)
    for fault, shop in shops.items():
        shop.rest()
        assert shop.texts_in_uspacy(chats[fault]) == ["Hello", *TEXTS], fault
        assert shop.failures() == [], fault
    throttled = [request for request in world.requests.matching(MESSAGES) if request.domain == shops["429"].domain]
    assert [request.status for request in throttled] == [429, 201, 201, 201]
    assert throttled[1].at - throttled[0].at >= 3


def test_webhooks_are_refused_for_now_while_the_database_is_away(
    shop: Business, world: World, stack: Stack
) -> None:
    ann = a_chat(shop)
    with database_away(stack):
        sent = shop.messenger.write(ann, "one")
        shop.answers(ann, "Good morning!")
        told = world.sns.events[-1]
        assert world.wait_for(lambda: sent.attempts and told.attempts, PATIENCE)
        assert sent.attempts[0].status == told.attempts[0].status == 503
    shop.rest()
    assert sent.attempts[-1].status == 202
    assert told.attempts[-1].status == 200
    assert shop.texts_in_uspacy(ann) == ["Hello", "one"]
    assert shop.texts_at_customer(ann) == ["Good morning!"]


@contextmanager
def database_away(stack: Stack) -> Iterator[None]:
    """Cut every connection to the app's database and refuse new ones."""
    name = stack.database_url.rpartition("/")[2]
    with psycopg.connect(stack.server_url, autocommit=True) as server:
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            yield
        finally:
            server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def test_a_portal_whose_files_hang_does_not_stop_the_web_service(
    shop: Business, world: World, stack: Stack
) -> None:
    ann = a_chat(shop)
    shop.answers(ann, "See here", [("prices.txt", b"1 UAH")])
    shop.rest()
    [(attachment,)] = shop.query("SELECT max(id) FROM messaging_attachment")
    url = f"{stack.url}/media/{signing.dumps(attachment, key=stack.env['SECRET_KEY'], salt=URL_SALT)}/prices.txt"
    world.faults.add("/files/content/", "hang", 1000, shop.domain, seconds=8)
    statuses: list[int] = []

    def fetch() -> None:
        statuses.append(outgoing.call("GET", url, timeout=PATIENCE).status_code)

    threads = [Thread(target=fetch) for _ in range(16)]
    for thread in threads:
        thread.start()
    try:
        most_hanging = WEB_PROCESSES * WEB_THREADS // 2
        assert world.wait_for(lambda: len(statuses) >= 16 - most_hanging, PATIENCE)
        assert set(statuses) == {503}
        for _ in range(5):
            asked = time.monotonic()
            assert outgoing.call("GET", f"{stack.url}/health/live", timeout=PATIENCE).status_code == 200
            assert shop.messenger.write(ann, "Thanks", wait=True).response.status_code == 202
            assert time.monotonic() - asked < 2
    finally:
        for thread in threads:
            thread.join()
    shop.rest()
