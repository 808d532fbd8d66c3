"""Tokens stay fresh: renewed nightly, before they expire, and on a 401; one renewal at a time for each portal."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery.app.amqp import pools
from django.db import connection, connections
from django.utils import timezone
from kombu import Connection

from config.celery import app
from portals import gate, http, services, tasks
from portals.http import RemoteError
from portals.models import Portal, PortalEvent
from portals.services import NeedsReinstall, RenewalInProgress
from tests.simulators import Partner, World
from tests.simulators.uspacy import Portal as SimulatedPortal

pytestmark = pytest.mark.django_db(transaction=True)

REFRESH, SIGN_IN, LINES = "/refresh_token$", "/app_sign_in$", "/external-lines$"


@pytest.fixture
def simulated(world: World, portal: Portal) -> SimulatedPortal:
    """What Uspacy knows of the portal, after the installation."""
    world.requests.clear()
    return world.uspacy.portals[portal.domain]


class Beat:
    """Runs beat's entries, and shows and does what they leave for the workers."""

    def __init__(self) -> None:
        self.countdowns: list[float] = []

    def run(self, entry: Any) -> list[int]:
        """Return the ids of the portals that one run of an entry left to the workers, done by now."""
        entry()
        portal_ids = []
        with Connection("memory://") as broker:
            queue = broker.SimpleQueue("housekeeping")
            while queue.qsize():
                message = queue.get_nowait()
                message.ack()
                some = message.payload[0]
                portal_ids += some
                self.countdowns.append(_seconds_until(message.headers["eta"]))
                app.tasks[message.headers["task"]](*some)
        return portal_ids


def _seconds_until(moment: str | None) -> float:
    return (datetime.fromisoformat(moment) - timezone.now()).total_seconds() if moment else 0.0


@pytest.fixture
def beat(monkeypatch: pytest.MonkeyPatch) -> Beat:
    monkeypatch.setattr(app.amqp, "_producer_pool", pools.producers[Connection("memory://")])
    return Beat()


def expire_in(portal: Portal, **span: float) -> Portal:
    """Let the portal's token end soon, or have ended."""
    Portal.objects.filter(pk=portal.pk).update(expires_at=timezone.now() + timedelta(**span))
    portal.refresh_from_db()
    return portal


def renewed_long_ago(portal: Portal, hours: float = 24) -> None:
    Portal.objects.filter(pk=portal.pk).update(refreshed_at=timezone.now() - timedelta(hours=hours))


def count(world: World, path: str) -> int:
    return len(world.requests.matching(path))


def events(portal: Portal) -> list[str]:
    """The portal's history after its installation."""
    return list(portal.events.order_by("pk").values_list("kind", flat=True))[1:]


def assert_renewed(portal: Portal, simulated: SimulatedPortal) -> None:
    """The portal has a pair that Uspacy accepts, and another than before."""
    before = portal.token, portal.refresh_token
    portal.refresh_from_db()
    assert portal.status == "active"
    assert portal.token != before[0]
    assert portal.refresh_token != before[1]
    assert simulated.tokens.accepts(portal.token)
    assert portal.expires_at is not None
    assert 23 <= (portal.expires_at - timezone.now()).total_seconds() / 3600 <= 24


# When


def test_the_nightly_run_renews_every_active_portal(
    world: World, portal: Portal, simulated: SimulatedPortal, beat: Beat
) -> None:
    for domain, status in (("asleep.uspacy.ua", "needs_reinstall"), ("gone.uspacy.ua", "uninstalled")):
        Portal.objects.create(domain=domain, status=status)
    renewed_long_ago(portal)
    assert beat.run(tasks.renew_all_tokens) == [portal.pk]
    assert_renewed(portal, simulated)
    assert events(portal) == ["renewed"]
    assert world.breaches == []


def test_a_second_nightly_run_does_nothing(
    world: World, portal: Portal, simulated: SimulatedPortal, beat: Beat
) -> None:
    renewed_long_ago(portal)
    beat.run(tasks.renew_all_tokens)
    assert beat.run(tasks.renew_all_tokens) == []
    assert count(world, REFRESH) == 1


def test_two_beats_at_once_renew_once(
    world: World, portal: Portal, simulated: SimulatedPortal, beat: Beat
) -> None:
    renewed_long_ago(portal)

    def both() -> None:
        tasks.renew_all_tokens()
        tasks.renew_all_tokens()
        tasks.renew_expiring_tokens()

    assert beat.run(both) == [portal.pk, portal.pk]
    assert count(world, REFRESH) == 1


def test_what_expires_within_two_hours_is_renewed_every_quarter_of_an_hour(
    portal: Portal, simulated: SimulatedPortal, beat: Beat
) -> None:
    Portal.objects.create(domain="later.uspacy.ua", expires_at=timezone.now() + timedelta(hours=3))
    assert beat.run(tasks.renew_expiring_tokens) == []
    expire_in(portal, hours=1)
    assert beat.run(tasks.renew_expiring_tokens) == [portal.pk]
    assert_renewed(portal, simulated)


def test_a_run_leaves_some_portals_to_each_task_and_spreads_the_tasks_over_time(
    beat: Beat, transactional_db: None
) -> None:
    Portal.objects.bulk_create(Portal(domain=f"p{number}.uspacy.ua") for number in range(100))
    Portal.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    portals = {}

    def fan_out() -> None:
        tasks.renew_expiring_tokens()
        portals.update(dict(Portal.objects.values_list("pk", "domain")))
        Portal.objects.all().delete()  # nobody is there to call

    assert set(beat.run(fan_out)) == set(portals)
    pause = tasks.PORTALS_PER_TASK / tasks.RENEWALS_PER_SECOND
    assert beat.countdowns == pytest.approx([number * pause for number in range(7)], abs=0.5)


def test_a_token_about_to_expire_is_renewed_before_it_is_used(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    services.get_client(expire_in(portal, minutes=6)).list_lines()
    assert count(world, REFRESH) == 0
    services.get_client(expire_in(portal, minutes=4)).list_lines()
    assert count(world, REFRESH) == 1
    assert_renewed(portal, simulated)
    assert [request.status for request in world.requests.matching(LINES)] == [200, 200]


def test_a_401_renews_once_and_repeats_the_request(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    simulated.expire_access_tokens()
    client = services.get_client(portal)
    assert client.list_lines() == []
    assert client.list_lines() == []
    assert [request.status for request in world.requests.matching(LINES)] == [401, 200, 200]
    assert count(world, REFRESH) == 1
    assert_renewed(portal, simulated)


def test_a_401_in_spite_of_a_new_token_renews_no_more_and_may_pass(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    world.faults.add(LINES, "status", code=401, times=5)
    with pytest.raises(RemoteError) as failure:
        services.get_client(portal).list_lines()
    assert failure.value.retryable  # the message waits
    assert [request.status for request in world.requests.matching(LINES)] == [401, 401]
    assert count(world, REFRESH) == 1


# One at a time


def in_threads(number: int, work: Callable[[], Any]) -> list[Any]:
    """Do the work in so many threads at once; return what each returned or raised."""
    start = threading.Barrier(number)

    def run(_thread: int) -> Any:
        start.wait()
        try:
            return work()
        except RemoteError as exc:
            return exc
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


@pytest.mark.parametrize("seconds", [0.0, 0.5], ids=["quick", "slow"])
def test_threads_with_one_stale_token_renew_it_once(
    world: World, portal: Portal, simulated: SimulatedPortal, seconds: float
) -> None:
    simulated.expire_access_tokens()
    if seconds:
        world.faults.add(REFRESH, "slow", seconds=seconds)
    outcomes = in_threads(8, lambda: services.get_client(portal).list_lines())
    assert count(world, REFRESH) == 1
    assert count(world, SIGN_IN) == 0
    waiting = [outcome for outcome in outcomes if isinstance(outcome, RenewalInProgress)]
    assert len(waiting) < 8
    assert all(outcome.retryable and outcome.retry_after for outcome in waiting)
    assert all(outcome == [] for outcome in outcomes if outcome not in waiting)
    assert in_threads(8, lambda: services.get_client(portal).list_lines()) == [[]] * 8  # with the stale object
    assert count(world, REFRESH) == 1
    assert events(portal) == ["renewed"]


def test_who_holds_a_token_that_was_rotated_gets_the_new_one(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    stale = portal.token
    fresh = services.refresh_tokens(portal.pk, stale_token=stale).token
    assert services.refresh_tokens(portal.pk, stale_token=stale).token == fresh
    assert count(world, REFRESH) == 1


def test_a_renewal_that_ended_at_the_last_moment_is_not_repeated(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    def after_another_renewal(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if "pg_try_advisory" in sql:
            in_threads(1, lambda: services.refresh_tokens(portal.pk))
        return execute(sql, *arguments)

    with connection.execute_wrapper(after_another_renewal):
        renewed = services.refresh_tokens(portal.pk, stale_token=portal.token)
    assert count(world, REFRESH) == 1
    assert renewed.token == Portal.objects.get().token != portal.token


@contextmanager
def renewing_elsewhere(world: World, portal: Portal, path: str = REFRESH) -> Iterator[Future[Portal]]:
    """Another process is in the middle of a renewal, which ends with the block."""
    slow = world.faults.add(path, "slow", seconds=1.5)

    def renew() -> Portal:
        try:
            return services.refresh_tokens(portal.pk)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(renew)
        assert world.wait_for(lambda: slow.times == 0)
        yield future
        assert not future.done()


def test_a_valid_token_is_used_while_another_process_renews_it(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    expire_in(portal, minutes=4)
    with renewing_elsewhere(world, portal):
        assert services.get_client(portal).list_lines() == []
    assert count(world, REFRESH) == 1


def test_an_expired_token_waits_for_the_process_that_renews_it(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    expire_in(portal, minutes=-1)
    with renewing_elsewhere(world, portal), pytest.raises(RenewalInProgress):
        services.get_client(portal)
    assert services.get_client(Portal.objects.get()).list_lines() == []
    assert count(world, REFRESH) == 1


def test_a_webhook_is_stored_while_the_portal_is_being_renewed(
    world: World, portal: Portal, partner: Partner
) -> None:
    ann = partner.add_customer("Ann")
    with renewing_elsewhere(world, portal):
        assert partner.write(ann, "Hello", wait=True).response.status_code == 202


def test_an_installation_during_a_renewal_is_immediate_and_wins(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    with renewing_elsewhere(world, portal) as renewal:
        assert world.uspacy.install(portal.domain).status_code == 200
        installed = Portal.objects.get()
    portal.refresh_from_db()
    assert (portal.token, portal.refresh_token) == (installed.token, installed.refresh_token)
    assert renewal.result().token == installed.token
    assert events(portal) == ["reinstalled"]


def test_an_installation_during_a_refusal_wins(world: World, portal: Portal, simulated: SimulatedPortal) -> None:
    simulated.revoke_refresh_tokens()
    simulated.sign_in_allowed = False
    with renewing_elsewhere(world, portal, SIGN_IN) as renewal:
        assert world.uspacy.install(portal.domain).status_code == 200
    portal.refresh_from_db()
    assert (portal.status, portal.last_error) == ("active", "")
    assert renewal.result().is_active
    assert events(portal) == ["reinstalled"]


def test_an_uninstallation_during_a_renewal_is_immediate_and_wins(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    with renewing_elsewhere(world, portal) as renewal:
        assert world.uspacy.uninstall(portal.domain).status_code == 204
    portal.refresh_from_db()
    assert (portal.status, portal.token, portal.refresh_token) == ("uninstalled", "", "")
    with pytest.raises(NeedsReinstall):
        renewal.result()


# What is stored


def test_the_new_pair_is_stored_by_one_statement(portal: Portal, simulated: SimulatedPortal) -> None:
    statements = []

    def note(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        statements.append(sql)
        return execute(sql, *arguments)

    with connection.execute_wrapper(note):
        services.refresh_tokens(portal.pk)
    [update] = [sql for sql in statements if "UPDATE portals_portal" in sql]
    for column in ("token", "refresh_token", "expires_at", "refresh_expires_at", "refreshed_at"):
        assert f" {column} = " in update


def test_each_renewal_uses_the_refresh_token_of_the_last(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    for _night in range(3):
        services.refresh_tokens(portal.pk)
    assert [request.status for request in world.requests.matching(REFRESH)] == [200, 200, 200]
    assert count(world, SIGN_IN) == 0
    assert_renewed(portal, simulated)


LIVES = [
    ({"expireInSeconds": 3600}, 3600),
    ({"expireInSeconds": "3600"}, 3600),
    ({"expiresInSeconds": 3600}, 3600),
    ({}, 86_400),
    ({"expireInSeconds": None}, 86_400),
    ({"expireInSeconds": 0}, 86_400),
    ({"expireInSeconds": "soon"}, 86_400),
    ({"expireInSeconds": 10**30}, 30 * 86_400),
    ({"expireInSeconds": 1e300}, 30 * 86_400),
]


def test_the_life_of_a_token_is_what_uspacy_says_or_a_day_and_never_beyond_reason(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    for number, (said, seconds) in enumerate(LIVES):
        pair = {"jwt": f"token {number}", "refreshToken": f"next {number}"}
        world.faults.add(REFRESH, "status", code=200, body=pair | said)
        services.refresh_tokens(portal.pk)
        portal.refresh_from_db()
        assert (portal.token, portal.refresh_token) == (pair["jwt"], pair["refreshToken"])
        assert portal.expires_at is not None
        assert (portal.expires_at - timezone.now()).total_seconds() == pytest.approx(seconds, abs=30), said


def test_without_a_new_refresh_token_the_old_one_stays(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    world.faults.add(REFRESH, "status", code=200, body={"jwt": "token"})
    assert services.refresh_tokens(portal.pk).refresh_token == portal.refresh_token


# When Uspacy refuses


def test_a_refused_refresh_token_is_replaced_by_signing_in(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    simulated.revoke_refresh_tokens()
    simulated.expire_access_tokens()
    assert services.get_client(portal).list_lines() == []
    assert_renewed(portal, simulated)
    assert events(portal) == ["signed_in"]
    assert (count(world, REFRESH), count(world, SIGN_IN)) == (1, 1)
    assert world.breaches == []


def test_a_pair_whose_answer_was_lost_is_replaced_by_signing_in(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    world.faults.add(REFRESH, "stored_then_cut")
    with pytest.raises(RemoteError) as lost:
        services.refresh_tokens(portal.pk)
    assert lost.value.retryable
    gate.reset()
    services.refresh_tokens(portal.pk)
    assert_renewed(portal, simulated)
    assert events(portal) == ["signed_in"]


@pytest.mark.parametrize("code", [400, 401, 403, 404])
def test_when_both_ways_are_refused_the_portal_waits_for_a_new_installation(
    world: World, portal: Portal, simulated: SimulatedPortal, code: int
) -> None:
    for path in (REFRESH, SIGN_IN):
        world.faults.add(path, "status", code=code, body={"errors": {"text": [f"Not {path[1:5]}, thanks"]}})
    with pytest.raises(NeedsReinstall) as refused:
        services.refresh_tokens(portal.pk)
    assert refused.value.retryable  # its messages wait
    token, refresh_token = portal.token, portal.refresh_token
    portal.refresh_from_db()
    assert portal.status == "needs_reinstall"
    for text in (portal.last_error, portal.events.latest("pk").text):
        assert "Not refr, thanks" in text
        assert "Not app_, thanks" in text
        assert str(code) in text
        assert token not in text
        assert refresh_token not in text
    assert events(portal) == ["refused"]


def test_a_portal_that_waits_for_an_installation_is_not_called_until_it_comes(
    world: World, portal: Portal, simulated: SimulatedPortal, beat: Beat
) -> None:
    simulated.revoke_refresh_tokens()
    simulated.expire_access_tokens()
    simulated.sign_in_allowed = False
    with pytest.raises(NeedsReinstall):
        services.get_client(portal).list_lines()
    world.requests.clear()
    renewed_long_ago(portal)
    expire_in(portal, minutes=1)
    assert beat.run(tasks.renew_all_tokens) == beat.run(tasks.renew_expiring_tokens) == []
    expire_in(portal, hours=5)
    for attempt in (lambda: services.get_client(portal), lambda: services.refresh_tokens(portal.pk)):
        with pytest.raises(NeedsReinstall, match="install the app again"):
            attempt()
    assert len(world.requests) == 0
    assert world.uspacy.install(portal.domain).status_code == 200
    portal.refresh_from_db()
    assert (portal.status, portal.last_error) == ("active", "")
    assert services.get_client(portal).list_lines() == []


def test_a_refusal_with_unprintable_text_marks_the_portal_all_the_same(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    for path in (REFRESH, SIGN_IN):
        world.faults.add(path, "status", code=403, body={"message": "No \x00 \ud800 way"})
    with pytest.raises(NeedsReinstall):
        services.refresh_tokens(portal.pk)
    portal.refresh_from_db()
    assert portal.status == "needs_reinstall"
    assert "way" in portal.last_error


# When Uspacy is away

AWAY: list[dict[str, Any]] = [
    {"kind": "status", "code": 500},
    {"kind": "status", "code": 503},
    {"kind": "status", "code": 429, "retry_after": 7},
    {"kind": "status", "code": 302, "body": {}},
    {"kind": "status", "code": 200, "body": {"message": "welcome"}},
    {"kind": "cut"},
]


@pytest.mark.parametrize("where", [REFRESH, SIGN_IN])
def test_while_uspacy_is_unwell_the_portal_stays_active(
    world: World, portal: Portal, simulated: SimulatedPortal, where: str
) -> None:
    if where == SIGN_IN:
        simulated.revoke_refresh_tokens()
    renewed_long_ago(portal)
    before = Portal.objects.values().get()
    for fault in AWAY:
        world.faults.add(where, **fault)
        with pytest.raises(RemoteError) as failure:
            services.refresh_tokens(portal.pk)
        assert failure.value.retryable, fault
        gate.reset()
    assert Portal.objects.values().get() == before
    assert events(portal) == []
    tasks.renew_tokens(portal.pk)  # another night
    assert_renewed(portal, simulated)


def test_while_uspacy_is_away_a_valid_token_is_used(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    expire_in(portal, minutes=4)
    world.faults.add(REFRESH, "status", code=429, retry_after=60)
    client = services.get_client(portal)
    gate.reset()  # a minute later
    assert client.list_lines() == []


def test_while_uspacy_is_away_an_expired_token_is_not_used(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    expire_in(portal, minutes=-1)
    world.faults.add(REFRESH, "status", code=429, retry_after=60)
    with pytest.raises(RemoteError) as failure:
        services.get_client(portal)
    assert failure.value.retryable
    assert count(world, LINES) == 0


def test_an_address_of_uspacys_that_we_may_not_call_is_no_refusal_of_uspacys(
    portal: Portal, simulated: SimulatedPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "allow_private_networks", False)  # as when a resolver gives a private address
    with pytest.raises(http.ForbiddenAddress):
        services.refresh_tokens(portal.pk)
    portal.refresh_from_db()
    assert portal.status == "active"


def test_one_portal_that_cannot_be_renewed_does_not_stop_the_others(
    world: World, portal: Portal, simulated: SimulatedPortal, beat: Beat
) -> None:
    world.uspacy.create_portal("second.uspacy.ua")
    world.uspacy.install("second.uspacy.ua")
    Portal.objects.update(refreshed_at=timezone.now() - timedelta(days=1))
    world.faults.add(REFRESH, "cut", domain=portal.domain)
    assert len(beat.run(tasks.renew_all_tokens)) == 2
    second = Portal.objects.get(domain="second.uspacy.ua")
    assert [event.kind for event in PortalEvent.objects.filter(kind="renewed")] == ["renewed"]
    assert second.events.filter(kind="renewed").exists()


def test_a_portal_whose_secrets_cannot_be_read_does_not_stop_the_others(
    world: World, portal: Portal, simulated: SimulatedPortal, beat: Beat, caplog: pytest.LogCaptureFixture
) -> None:
    world.uspacy.create_portal("second.uspacy.ua")
    world.uspacy.install("second.uspacy.ua")
    Portal.objects.update(refreshed_at=timezone.now() - timedelta(days=1))
    with connection.cursor() as cursor:  # as after a key that was thrown away
        cursor.execute("UPDATE portals_portal SET token = 'of another key' WHERE id = %s", [portal.pk])
    beat.run(tasks.renew_all_tokens)
    [renewed] = PortalEvent.objects.filter(kind="renewed").values_list("portal__domain", flat=True)
    assert renewed == "second.uspacy.ua"
    assert "token_renewal_failed" in caplog.text


def test_a_worker_that_ends_begins_no_further_renewal(
    world: World, portal: Portal, simulated: SimulatedPortal
) -> None:
    world.uspacy.create_portal("second.uspacy.ua")
    world.uspacy.install("second.uspacy.ua")
    Portal.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    slow = world.faults.add(REFRESH, "slow", seconds=0.5)

    def renew_both() -> None:
        try:
            tasks.renew_tokens(*Portal.objects.values_list("pk", flat=True))
        finally:
            connections.close_all()

    try:
        with ThreadPoolExecutor(1) as pool:
            renewal = pool.submit(renew_both)
            assert world.wait_for(lambda: slow.times == 0)
            tasks.stop_renewing()
        renewal.result()
    finally:
        tasks._ending.clear()
    assert [event.kind for event in PortalEvent.objects.exclude(kind="installed")] == ["renewed"]
    assert count(world, REFRESH) == 1
