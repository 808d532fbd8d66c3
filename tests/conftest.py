"""What tests share: the app served on a port, the simulated world around it, and a worker to call."""

import math
import os
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db.models.functions import Now

from externallines.channels import CHANNELS
from externallines.services import Profile, connect
from messaging import delivery, pacing, topics
from messaging.models import Delivery
from portals import gate
from portals.models import Portal
from tests.simulators import Partner, World, serve
from tests.toy import Messenger, Toy

DOMAIN = "acme.uspacy.ua"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write out what a process of the run cannot send to the one that prints: lone surrogates of nasty texts."""
    report = yield
    report.sections = [(name, encodable(text)) for name, text in report.sections]
    if report.longrepr and encodable(text := str(report.longrepr)) != text:
        report.longrepr = encodable(text)
    return report


def encodable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """Give every test run a database of its own, so that two runs at a time do not meet."""
    from django.db import connections

    connections["default"].settings_dict["TEST"]["NAME"] = f"test_uspacy_{os.getpid()}"


@pytest.fixture(autouse=True)
def _fresh_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    gate.reset()
    monkeypatch.setattr(gate, "threads", math.inf)  # the served app, in this process as well, sets it to web's few
    pacing.reset()
    with redis.Redis.from_url(settings.REDIS_URL) as broker:  # what an earlier test left of its account's budget
        if budgets := broker.keys("pace *"):
            broker.delete(*budgets)


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """A client of the broker, to look into its queues."""
    with redis.Redis.from_url(settings.CELERY_BROKER_URL) as broker:
        yield broker


@pytest.fixture
def world(live_server: Any, settings: Any) -> Iterator[World]:
    """The stand-in Uspacy, SNS and messengers, with the app configured for them."""
    world = World(
        live_server.url, client_id=settings.USPACY_CLIENT_ID, client_secret=settings.USPACY_CLIENT_SECRETS[0]
    )
    with serve(world) as url:
        settings.PUBLIC_URL = live_server.url
        settings.USPACY_API_URL = f"{url}/uspacy/{{domain}}"
        settings.SNS_TOPIC_ARNS = [world.sns.topic_arn]
        yield world
        world.settle()
    world.close()


@pytest.fixture
def portal(world: World) -> Portal:
    """A portal that has installed the app."""
    world.uspacy.create_portal(DOMAIN)
    assert world.uspacy.install(DOMAIN).status_code == 200
    world.sns.subscribe()
    topics.confirm_approved()
    assert world.sns.confirmed
    return Portal.objects.get(domain=DOMAIN)


@pytest.fixture
def partner(world: World, portal: Portal) -> Partner:
    """A partner messenger, connected as a line of the portal."""
    partner: Partner = world.add_messenger("shop", "Shop chat")
    world.connect_line(portal.domain, partner, "Shop")  # whereupon it pings, as the line's first valid event
    world.settle()
    return partner


@pytest.fixture
def toy(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> Messenger:
    """A messenger that can do everything the channel contract knows, connected as a line of the portal."""
    monkeypatch.setitem(CHANNELS, Toy.slug, Toy)
    for rate in ("account_rate", "chat_rate"):
        monkeypatch.setattr(Toy, rate, None)
    Toy.messenger = Messenger()
    Toy.messenger.line = connect(
        portal=portal, channel=Toy.slug, profile=Profile("Toy shop"), credentials={"token": "1"}
    )
    return Toy.messenger


@pytest.fixture
def deliver() -> Callable[[], None]:
    """Do a worker's work: deliver everything that is due."""

    def deliver() -> None:
        for _round in range(50):
            due = Delivery.objects.heads().deliverable().filter(available_at__lte=Now())
            chats = sorted(set(due.values_list("chat_id", flat=True)))
            if not chats:
                return
            for chat_id in chats:
                delivery.drain(chat_id)
        raise AssertionError("the outbox does not come to rest")

    return deliver


@pytest.fixture
def pass_time() -> Callable[..., None]:
    """Make waits end: what waits for a retry is due now."""

    def pass_time() -> None:
        gate.reset()
        Delivery.objects.open().update(available_at=Now())

    return pass_time
