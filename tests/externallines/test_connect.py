"""The life of a line, as its owner, Uspacy and the partner see it."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Thread

import pytest
from django.db import connection, transaction

from externallines import tasks
from externallines.channels import CHANNELS
from externallines.models import ExternalLine
from portals import gate
from portals.models import Portal
from tests.simulators import outgoing

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
LINES = r"/messenger/v1/external-lines"


@pytest.fixture
def shop(world, portal):
    """A partner messenger that no line is bound to yet."""
    return world.add_messenger("shop", "Shop chat")


@pytest.fixture
def uspacy(world, portal):
    """The portal in Uspacy."""
    return world.uspacy.portals[portal.domain]


def bind(shop, line, secret=None):
    """Tell the partner what its owner was told, and nothing else."""
    shop.inbound_url, shop.secret = line["webhook_url"], secret or line["secret"]


def names(uspacy):
    return [line["name"] for line in uspacy.lines.values()]


@contextmanager
def while_uspacy_thinks(world, act):
    """Do something when Uspacy has been asked for the lines and has not answered yet."""
    fault = world.faults.add(LINES, "slow", seconds=1)
    thread = Thread(target=lambda: world.wait_for(lambda: fault.times == 0) and act())
    thread.start()
    yield
    thread.join()


def wait_for_a_lock():
    """Return once somebody waits for what this transaction has written."""
    for _time in range(200):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone() != (0,):
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")


def at_once(act, times):
    """What `act` returns in as many threads."""
    with ThreadPoolExecutor(times) as pool:
        return [future.result() for future in [pool.submit(act) for _ in range(times)]]


# Connecting


def test_an_account_becomes_a_line_here_and_in_uspacy(world, uspacy, owner, shop):
    answer = owner.connect(
        shop.hook, "Corner shop", icon="https://shop.example.com/logo.png", phone_number="+380441234567"
    )
    assert answer.status_code == 201
    line = answer.json()
    [stored] = uspacy.lines.values()
    assert line == {
        "id": str(ExternalLine.objects.get().key),
        "status": "connecting",
        "error": "",
        "warning": "",
        "channel": "webhook",
        "name": "Corner shop",
        "icon": "https://shop.example.com/logo.png",
        "phone_number": "+380441234567",
        "external_id": line["external_id"],
        "uspacy_id": stored["id"],
        "webhook_url": f"{world.app_url}/webhooks/lines/{line['id']}",
        "created_at": line["created_at"],
        "secret": line["secret"],
    }
    assert stored["name"] == "Corner shop"
    assert stored["icon"] == "https://shop.example.com/logo.png"
    assert stored["phoneNumber"] == "+380441234567"
    assert world.breaches == []


def test_uspacy_gets_an_icon_and_a_number_where_the_owner_gives_none(world, uspacy, owner, shop):
    owner.connect(shop.hook, "Corner shop")
    [stored] = uspacy.lines.values()
    assert stored["icon"] == f"{world.app_url}/static/externallines/webhook.svg"
    assert stored["phoneNumber"] == "Corner shop"
    assert outgoing.call("GET", stored["icon"]).headers["Content-Type"] == "image/svg+xml"


def test_the_webhook_url_has_the_prefix_under_which_we_are_served(owner, shop, settings):
    settings.PUBLIC_URL, settings.URL_PREFIX = "https://apps.example.com", "lines"
    line = owner.connect(shop.hook).json()
    assert line["webhook_url"] == f"https://apps.example.com/lines/webhooks/lines/{line['id']}"


@pytest.mark.parametrize(
    ("credentials", "field"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": "  "}, "url"),
        ({"url": "partner"}, "url"),
        ({"url": "https://partner.example.com/" + "x" * 2_000}, "url"),
        ({"url": ["https://partner.example.com/"]}, "url"),
        ({"url": "https://partner.example.com/", "secret": "guess-me"}, "secret"),
        ({"url": "https://partner.example.com/", "token": "1"}, "token"),
    ],
)
def test_wrong_credentials_are_refused_by_field_and_nothing_is_stored(uspacy, owner, credentials, field):
    answer = owner.call("POST", "lines/", {"channel": "webhook", "name": "Shop", "credentials": credentials})
    assert answer.status_code == 400
    [(named, [sentence])] = answer.json()["errors"]["credentials"].items()
    assert named == field
    assert sentence.endswith(".")
    assert "guess-me" not in answer.text
    assert not ExternalLine.objects.exists()
    assert uspacy.lines == {}


def test_an_account_cannot_be_connected_twice(uspacy, owner, shop):
    line = owner.connect(shop.hook, "Shop").json()
    again = owner.connect(shop.hook, "Shop again")
    assert again.status_code == 409
    assert again.json() == {
        "errors": {"text": ["This account is connected to the portal already."]},
        "status": False,
    }
    assert [row["id"] for row in owner.lines()] == [line["id"]]
    assert names(uspacy) == ["Shop"]


def test_two_portals_may_connect_the_same_account(owner, new_owner, shop):
    lines = [owner.connect(shop.hook).json(), new_owner("other.uspacy.com").connect(shop.hook).json()]
    assert len({line["id"] for line in lines}) == 2
    assert len({line["external_id"] for line in lines}) == 1


def test_two_requests_at_once_make_one_line(world, uspacy, owner, shop):
    world.faults.add(LINES, "slow", times=10, seconds=0.2)
    answers = at_once(lambda: owner.connect(shop.hook).status_code, times=4)
    assert sorted(answers) == [201, 409, 409, 409]
    assert ExternalLine.objects.count() == len(uspacy.lines) == 1


def test_a_request_that_finds_the_account_free_too_late_makes_no_second_line(portal, owner, shop):
    account = CHANNELS["webhook"]({"url": shop.hook}).check().external_id
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        ExternalLine.objects.create(portal=portal, channel="webhook", name="First", external_id=account)
        second = pool.submit(lambda: owner.connect(shop.hook, "Second").status_code)
        wait_for_a_lock()
    assert second.result() == 409
    assert [line["name"] for line in owner.lines()] == ["First"]


def test_a_disconnected_account_that_is_connected_again_gets_its_old_line_back(uspacy, owner, shop):
    old = owner.connect(shop.hook, "Shop").json()
    assert owner.disconnect(old).status_code == 204
    back = owner.connect(shop.hook, "Shop reopened", phone_number="+380440000000", secret=SECRET)
    assert back.status_code == 201
    line = back.json()
    assert [line[name] for name in ("id", "uspacy_id", "external_id", "webhook_url")] == [
        old[name] for name in ("id", "uspacy_id", "external_id", "webhook_url")
    ]
    assert (line["name"], line["phone_number"]) == ("Shop reopened", "+380440000000")
    assert ExternalLine.objects.get().credentials["secret"] == SECRET
    [stored] = uspacy.lines.values()
    assert (stored["name"], stored["phoneNumber"]) == ("Shop reopened", "+380440000000")


def test_two_requests_at_once_get_a_disconnected_line_back_once(world, owner, shop):
    owner.disconnect(owner.connect(shop.hook).json())
    world.faults.add(LINES, "slow", times=10, seconds=0.2)
    answers = at_once(lambda: owner.connect(shop.hook).status_code, times=3)
    assert sorted(answers) == [201, 409, 409]


# When Uspacy refuses, or cannot be reached


def test_a_name_that_uspacy_refuses_leaves_a_sentence_and_the_way_on(uspacy, owner, shop):
    uspacy.add_line({"name": "Shop", "icon": "https://x", "phoneNumber": "1", "externalId": "e"}, foreign=True)
    answer = owner.connect(shop.hook, "Shop")
    assert answer.status_code == 201
    line = answer.json()
    assert (line["status"], line["uspacy_id"]) == ("error", "")
    assert line["error"] == "Uspacy answered with status 400: External line with this name already exists"
    assert owner.reconnect(line).json()["status"] == "error"
    assert owner.change(line, name="Shop 2").json()["name"] == "Shop 2"
    line = owner.reconnect(line).json()
    assert (line["status"], line["error"]) == ("connecting", "")
    assert uspacy.lines[line["uspacy_id"]]["name"] == "Shop 2"


@pytest.mark.parametrize(("kind", "requests"), [("stored_then_cut", 1), ("cut", 2)])
def test_a_lost_answer_makes_no_second_line_in_uspacy(world, uspacy, owner, shop, kind, requests):
    world.faults.add(LINES, kind, method="POST")
    line = owner.connect(shop.hook).json()
    assert (line["status"], line["uspacy_id"]) == ("error", "")
    gate.reset()
    line = owner.reconnect(line).json()
    assert (line["status"], line["error"]) == ("connecting", "")
    assert list(uspacy.lines) == [line["uspacy_id"]]
    assert len(world.requests.matching(LINES, "POST")) == requests


def test_a_line_that_was_renamed_after_a_lost_answer_has_its_new_name_in_uspacy(world, uspacy, owner, shop):
    world.faults.add(LINES, "stored_then_cut", method="POST")
    line = owner.connect(shop.hook, "Shop").json()
    gate.reset()
    owner.change(line, name="Shop 2", icon="https://shop.example.com/logo.png")
    owner.reconnect(line)
    [stored] = uspacy.lines.values()
    assert (stored["name"], stored["icon"]) == ("Shop 2", "https://shop.example.com/logo.png")


DUPLICATE = 'E11000 duplicate key error collection: messenger.lines index: externalId_1 dup key: { : "e" }'


@pytest.mark.parametrize("refusal", [None, DUPLICATE], ids=["its own words", "E11000"])
def test_a_line_that_uspacy_shows_only_after_refusing_a_second_is_taken(world, uspacy, owner, shop, refusal):
    world.faults.add(LINES, "stored_then_cut", method="POST")
    line = owner.connect(shop.hook).json()
    gate.reset()
    world.faults.add(LINES, "status", method="GET", code=200, body=[])  # as if the list lagged behind
    if refusal:
        world.faults.add(LINES, "status", method="POST", code=400, body={"message": refusal})
    line = owner.reconnect(line).json()
    assert (line["status"], line["error"]) == ("connecting", "")
    assert list(uspacy.lines) == [line["uspacy_id"]]


@pytest.mark.parametrize("fault", [{"kind": "status", "code": 503}, {"kind": "cut"}])
def test_a_line_whose_uspacy_is_down_waits_for_its_owner(world, uspacy, owner, shop, fault):
    world.faults.add(LINES, times=10, **fault)
    line = owner.connect(shop.hook).json()
    assert line["status"] == "error"
    assert line["error"]
    assert line["secret"]  # it will not be shown again
    world.faults.clear()
    gate.reset()
    again = owner.reconnect(line).json()
    assert (again["id"], again["status"]) == (line["id"], "connecting")
    assert names(uspacy) == ["Shop"]


def test_a_portal_that_has_to_be_installed_again_is_told_so(world, uspacy, owner, shop):
    uspacy.sign_in_allowed = False
    uspacy.expire_access_tokens()
    uspacy.revoke_refresh_tokens()
    line = owner.connect(shop.hook).json()
    assert line["status"] == "error"
    assert "install the app again" in line["error"]
    world.uspacy.install(owner.domain)
    assert owner.reconnect(line).json()["status"] == "connecting"


def test_an_expired_token_is_renewed_on_the_way(uspacy, owner, shop):
    uspacy.expire_access_tokens()
    assert owner.connect(shop.hook).json()["status"] == "connecting"


# Becoming active


def test_a_line_becomes_active_with_its_first_valid_event(owner, shop):
    line = owner.connect(shop.hook).json()
    bind(shop, line, secret=SECRET)
    assert shop.ping(wait=True).response.status_code == 401
    assert owner.look(line)["status"] == "connecting"
    bind(shop, line)
    assert shop.ping(wait=True).response.status_code == 202
    assert owner.look(line)["status"] == "active"


def test_the_first_message_makes_a_line_active_too(owner, shop):
    line = owner.connect(shop.hook, secret=SECRET).json()
    bind(shop, line, SECRET)
    assert shop.write(shop.add_customer("Ann"), "Hello", wait=True).response.status_code == 202
    assert owner.look(line)["status"] == "active"


def test_an_event_does_not_activate_a_line_that_uspacy_does_not_have_yet(world, owner, shop):
    seen = []

    def ping():
        [line] = owner.lines()
        bind(shop, line, SECRET)
        assert shop.ping(wait=True).response.status_code == 202
        seen.append(owner.look(line)["status"])

    with while_uspacy_thinks(world, ping):
        line = owner.connect(shop.hook, secret=SECRET).json()
    assert seen == ["connecting"]
    assert shop.ping(wait=True).response.status_code == 202
    assert owner.look(line)["status"] == "active"


def test_an_event_does_not_mend_a_line_that_needs_its_owner(world, owner, shop):
    line = owner.connect(shop.hook).json()
    bind(shop, line)
    world.faults.add(LINES, "status", code=503)
    assert owner.reconnect(line).json()["status"] == "error"
    assert shop.ping(wait=True).response.status_code == 202
    assert owner.look(line)["status"] == "error"


def test_an_event_that_comes_while_the_line_is_connected_counts(world, owner, shop):
    line = owner.connect(shop.hook).json()
    bind(shop, line)
    with while_uspacy_thinks(world, lambda: shop.ping(wait=True)):
        assert owner.reconnect(line).json()["status"] == "active"
    assert owner.look(line)["status"] == "active"


def test_a_line_that_has_worked_is_active_at_once_when_it_is_reconnected(owner, shop):
    line = owner.connect(shop.hook).json()
    bind(shop, line)
    shop.ping(wait=True)
    owner.disconnect(line)
    assert owner.reconnect(line).json()["status"] == "active"
    assert shop.ping(wait=True).response.status_code == 202


# Changes


def test_a_changed_profile_is_told_to_uspacy(uspacy, owner, shop):
    line = owner.connect(shop.hook, "Shop").json()
    changed = owner.change(line, name="New shop", phone_number="+380447654321")
    assert changed.status_code == 200
    assert changed.json() == {
        **{name: value for name, value in line.items() if name != "secret"},
        "name": "New shop",
        "phone_number": "+380447654321",
    }
    [stored] = uspacy.lines.values()
    assert (stored["name"], stored["phoneNumber"]) == ("New shop", "+380447654321")
    owner.change(line, icon="https://shop.example.com/logo.png")
    assert (stored["name"], stored["icon"]) == ("New shop", "https://shop.example.com/logo.png")


def test_a_change_that_uspacy_does_not_get_is_not_stored(world, uspacy, owner, shop):
    line = owner.connect(shop.hook, "Shop", secret=SECRET).json()
    world.faults.add(LINES, "status", code=503)
    answer = owner.change(line, name="New shop", credentials={"url": "https://elsewhere.example.com/"})
    assert answer.status_code == 502
    assert answer.json() == {
        "errors": {"text": ["Uspacy answered with status 503: simulated failure"]},
        "status": False,
    }
    assert owner.look(line) == line
    assert ExternalLine.objects.get().credentials["url"] == shop.hook
    assert names(uspacy) == ["Shop"]


def test_a_change_for_which_uspacy_has_no_room_is_to_be_made_later(portal, uspacy, owner, shop):
    line = owner.connect(shop.hook, "Shop", secret=SECRET).json()
    with ExitStack() as stack:
        while (remote := gate.gate_for(portal.domain)).delay() == 0:
            stack.enter_context(remote.admitted())
        answer = owner.change(line, name="New shop")
        again = owner.reconnect(line).json()
    assert answer.status_code == 503
    assert answer.json() == {
        "errors": {"text": ["The other side has no room for another call now."]},
        "status": False,
    }
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert (again["name"], again["error"]) == ("Shop", "The other side has no room for another call now.")
    assert names(uspacy) == ["Shop"]


def test_a_change_with_wrong_credentials_changes_nothing(uspacy, owner, shop):
    line = owner.connect(shop.hook, "Shop", secret=SECRET).json()
    answer = owner.change(line, name="New shop", credentials={"secret": "guess-me"})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]["credentials"]) == ["secret"]
    assert owner.look(line) == line
    assert names(uspacy) == ["Shop"]


def test_a_name_that_is_taken_is_refused_and_the_old_one_stays(uspacy, owner, shop):
    uspacy.add_line({"name": "Taken", "icon": "https://x", "phoneNumber": "1", "externalId": "e"}, foreign=True)
    line = owner.connect(shop.hook, "Shop").json()
    answer = owner.change(line, name="Taken")
    assert answer.status_code == 502
    assert "External line with this name already exists" in answer.text
    assert owner.look(line)["name"] == "Shop"


def test_a_new_secret_counts_at_once_for_what_comes_in(owner, shop):
    line = owner.connect(shop.hook).json()
    bind(shop, line)
    shop.ping(wait=True)
    assert owner.change(line, credentials={"secret": SECRET}).status_code == 200
    assert shop.ping(wait=True).response.status_code == 401
    bind(shop, line, SECRET)
    assert shop.ping(wait=True).response.status_code == 202


def test_a_new_address_keeps_the_secret_and_its_line(world, uspacy, owner, shop):
    line = owner.connect(shop.hook).json()
    moved = world.add_messenger("moved", "Shop chat")
    answer = owner.change(line, credentials={"url": moved.hook, "secret": ""})
    assert answer.status_code == 200
    again = owner.reconnect(line).json()
    assert (again["id"], again["uspacy_id"]) == (line["id"], line["uspacy_id"])
    assert again["external_id"] != line["external_id"]
    assert len(uspacy.lines) == 1
    bind(moved, line)  # with the secret of the first answer
    assert moved.ping(wait=True).response.status_code == 202


def test_the_address_that_a_line_left_can_be_connected_as_another(world, uspacy, owner, shop):
    line = owner.connect(shop.hook, "Moved").json()
    owner.change(line, credentials={"url": world.add_messenger("moved").hook})
    owner.reconnect(line)
    other = owner.connect(shop.hook, "Shop").json()
    assert (other["status"], other["error"]) == ("connecting", "")
    assert other["uspacy_id"] != line["uspacy_id"]
    assert names(uspacy) == ["Moved", "Shop"]


def test_credentials_of_another_line_cannot_be_connected(world, owner, shop):
    line = owner.connect(shop.hook, "Shop").json()
    other = owner.connect(world.add_messenger("other").hook, "Other").json()
    owner.change(other, credentials={"url": shop.hook})
    answer = owner.reconnect(other)
    assert answer.status_code == 409
    assert answer.json()["errors"] == {"text": ["Another line of the portal has this account."]}
    assert owner.look(line)["status"] == "connecting"


# Disconnecting


def test_a_disconnected_line_stays_in_the_list_and_takes_nothing(uspacy, owner, shop):
    line = owner.connect(shop.hook).json()
    bind(shop, line)
    shop.ping(wait=True)
    answer = owner.disconnect(line)
    assert (answer.status_code, answer.content) == (204, b"")
    assert [(row["id"], row["status"]) for row in owner.lines()] == [(line["id"], "disabled")]
    refused = shop.write(shop.add_customer("Ann"), "Hello", wait=True).response
    assert refused.status_code == 410
    assert refused.json()["error"]["code"] == "line_disconnected"
    assert owner.disconnect(line).status_code == 204
    assert len(uspacy.lines) == 1  # with its history; there is no way to delete it


def test_a_worker_takes_the_webhook_of_a_disconnected_line_away(owner, shop):
    line = owner.connect(shop.hook).json()
    assert ExternalLine.objects.get().subscribed
    owner.disconnect(line)
    tasks.tend_lines()
    assert not ExternalLine.objects.get().subscribed
    assert owner.look(line)["status"] == "disabled"


def test_a_line_that_is_reconnected_while_its_webhook_is_removed_gets_it_back(owner, shop, monkeypatch):
    calls = []

    class Slow(CHANNELS["webhook"]):
        """A messenger that takes so long to remove a webhook that the owner has changed their mind."""

        def subscribe(self, webhook_url):
            calls.append("subscribe")

        def unsubscribe(self, webhook_url):
            owner.reconnect(line)
            calls.append("unsubscribe")

    line = owner.connect(shop.hook).json()
    owner.disconnect(line)
    monkeypatch.setitem(CHANNELS, "webhook", Slow)
    tasks.tend_lines()
    assert calls == ["subscribe", "unsubscribe", "subscribe"]
    assert ExternalLine.objects.get().subscribed


def test_a_line_that_works_goes_on_though_uspacy_is_down_when_it_is_reconnected(world, owner, shop):
    line = owner.connect(shop.hook).json()
    bind(shop, line)
    shop.ping(wait=True)
    world.faults.add(LINES, "status", code=503, times=10)
    again = owner.reconnect(line).json()
    assert again["status"] == "active"
    assert "503" in again["error"]


def test_a_line_that_is_disconnected_while_it_is_reconnected_stays_so(world, owner, shop):
    line = owner.connect(shop.hook).json()
    with while_uspacy_thinks(world, lambda: owner.disconnect(line)):
        assert owner.reconnect(line).json()["status"] == "disabled"
    assert owner.look(line)["status"] == "disabled"


# Uninstall and re-install


@pytest.fixture
def two_lines(world, owner, shop):
    """An active line, and one that its owner has disconnected."""
    line = owner.connect(shop.hook, "Shop").json()
    bind(shop, line)
    shop.ping(wait=True)
    other = owner.connect(world.add_messenger("closed").hook, "Closed").json()
    owner.disconnect(other)
    return line, other


def test_an_uninstall_suspends_the_lines_and_keeps_what_comes_in(world, owner, shop, two_lines):
    assert world.uspacy.uninstall(owner.domain).status_code == 204
    line, other = ExternalLine.objects.order_by("id")
    assert [(line.status, line.suspended), (other.status, other.suspended)] == [
        ("disabled", True),
        ("disabled", False),
    ]
    assert shop.write(shop.add_customer("Ann"), "Hello", wait=True).response.status_code == 202
    tasks.tend_lines()
    line.refresh_from_db()
    assert (line.status, line.suspended, line.error) == ("disabled", True, "")


def test_a_reinstall_brings_back_the_lines_that_the_owner_had_not_disconnected(world, uspacy, owner, two_lines):
    line, other = two_lines
    world.uspacy.uninstall(owner.domain)
    world.uspacy.install(owner.domain)
    assert owner.look(line)["status"] == "disabled"
    tasks.tend_lines()
    assert owner.look(line)["status"] == "active"
    assert owner.look(other)["status"] == "disabled"
    assert not ExternalLine.objects.filter(suspended=True).exists()
    assert len(uspacy.lines) == 2


def test_a_line_that_never_worked_waits_for_its_first_event_after_a_reinstall(world, owner, shop):
    line = owner.connect(shop.hook).json()
    world.uspacy.uninstall(owner.domain)
    world.uspacy.install(owner.domain)
    tasks.tend_lines()
    assert owner.look(line)["status"] == "connecting"


def test_a_passing_fault_delays_the_return_of_a_line(world, owner, two_lines):
    world.uspacy.uninstall(owner.domain)
    world.uspacy.install(owner.domain)
    world.faults.add(LINES, "status", code=503, times=2)
    for _attempt in range(2):
        gate.reset()
        tasks.tend_lines()
        line = ExternalLine.objects.get(name="Shop")
        assert (line.status, line.suspended) == ("connecting", True)
        assert line.error == "Uspacy answered with status 503: simulated failure"
    gate.reset()
    tasks.tend_lines()
    line.refresh_from_db()
    assert (line.status, line.suspended, line.error) == ("active", False, "")


def test_a_refusal_of_uspacy_leaves_a_returning_line_to_its_owner(world, uspacy, owner, two_lines):
    line, _ = two_lines
    world.uspacy.uninstall(owner.domain)
    world.uspacy.install(owner.domain)
    world.faults.add(LINES, "status", code=403, body={"message": "no more lines"})
    tasks.tend_lines()
    assert owner.look(line)["status"] == "error"
    tasks.tend_lines()
    assert owner.look(line)["error"] == "Uspacy answered with status 403: no more lines"
    assert owner.reconnect(line).json()["status"] == "active"


def test_a_line_that_is_disconnected_while_it_returns_stays_down(world, owner, two_lines):
    line, _ = two_lines
    world.uspacy.uninstall(owner.domain)
    world.uspacy.install(owner.domain)
    with while_uspacy_thinks(world, lambda: owner.disconnect(line)):
        tasks.tend_lines()
    assert owner.look(line)["status"] == "disabled"
    tasks.tend_lines()
    assert owner.look(line)["status"] == "disabled"


def test_a_returning_line_with_the_account_of_another_does_not_stop_the_rest(world, owner, two_lines):
    first, _ = two_lines
    hook = world.add_messenger("third").hook
    third = owner.connect(hook, "Third").json()
    owner.change(third, credentials={"url": ExternalLine.objects.get(name="Shop").credentials["url"]})
    world.uspacy.uninstall(owner.domain)
    world.uspacy.install(owner.domain)
    tasks.tend_lines()
    assert owner.look(first)["status"] == "active"
    assert owner.look(third)["status"] == "error"
    assert owner.look(third)["error"] == "Another line of the portal has this account."


def test_lines_of_a_portal_that_is_down_do_not_keep_others_from_returning(
    world, owner, new_owner, shop, monkeypatch
):
    monkeypatch.setattr(tasks, "LINES_PER_RUN", 1)
    line = owner.connect(shop.hook).json()
    down = new_owner("down.uspacy.ua")
    down.connect(shop.hook)
    for domain in (owner.domain, down.domain):
        world.uspacy.uninstall(domain)
        world.uspacy.install(domain)
    world.faults.add(LINES, "status", code=503, domain=down.domain, times=1000)
    for _run in range(50):
        tasks.tend_lines()
    assert owner.look(line)["status"] == "connecting"
    assert ExternalLine.objects.get(portal=Portal.objects.get(domain=down.domain)).suspended
