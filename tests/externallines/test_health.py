"""The hourly check of lines."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from externallines import health, tasks
from externallines.channels.base import Account, AccountProblem
from externallines.models import ExternalLine
from externallines.services import AlreadyConnected, Profile, connect, disconnect, reconnect
from portals.http import ServerFault

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def line(toy):
    return toy.line


@pytest.fixture
def look(owner, line):
    return lambda: owner.look({"id": str(line.key)})


def test_what_a_check_finds_is_shown_to_the_owner_until_it_is_mended(toy, line, look):
    toy.warnings = ["Another service has the webhook.", "The token expires on Friday."]
    health.check(line.pk)
    assert look()["warning"] == "Another service has the webhook.\nThe token expires on Friday."
    toy.warnings = ServerFault("Down.")
    health.check(line.pk)
    assert look()["warning"]  # nothing is known to have changed
    toy.warnings = []
    health.check(line.pk)
    assert (look()["warning"], look()["status"]) == ("", "active")


def test_a_reconnected_line_starts_without_a_warning(toy, line, look, owner):
    toy.warnings = ["Another service has the webhook."]
    health.check(line.pk)
    owner.reconnect({"id": str(line.key)})
    assert look()["warning"] == ""


def test_a_check_that_finds_a_problem_of_the_account_stops_the_line(toy, line, look):
    toy.warnings = AccountProblem("The token was revoked. Enter a new one.")
    health.check(line.pk)
    assert (look()["status"], look()["error"]) == ("error", "The token was revoked. Enter a new one.")


def test_renewed_credentials_are_stored(toy, line):
    toy.renewed = {"token": "2"}
    health.check(line.pk)
    assert ExternalLine.objects.get().credentials == {"token": "2"}


def test_credentials_that_the_owner_enters_meanwhile_are_kept(toy, line):
    def enter():
        other = ExternalLine.objects.get()
        other.credentials = {"token": "the owner's"}
        other.save()

    toy.renewed, toy.while_renewing = {"token": "2"}, enter
    health.check(line.pk)
    assert ExternalLine.objects.get().credentials == {"token": "the owner's"}


def test_a_line_is_due_once_an_hour(line):
    assert health.due(10) == [line.pk]
    assert health.due(10) == []
    ExternalLine.objects.update(checked_at=timezone.now() - timedelta(minutes=61))
    assert health.due(10) == [line.pk]


def test_only_active_lines_with_something_to_check_are_due(line, partner):
    assert ExternalLine.objects.filter(channel="webhook", status="active").exists()
    assert health.due(10) == [line.pk]
    ExternalLine.objects.filter(pk=line.pk).update(checked_at=None, status="error")
    assert health.due(10) == []
    health.check(line.pk)
    assert ExternalLine.objects.get(pk=line.pk).status == "error"


def test_the_lines_that_waited_longest_come_first(portal, line):
    long_ago = timezone.now() - timedelta(days=1)
    waiting = [
        ExternalLine.objects.create(
            portal=portal, channel="toy", name=str(hours), external_id=str(hours), status="active", credentials={}
        )
        for hours in (2, 3)
    ]
    for hours, each in enumerate(waiting, start=1):
        ExternalLine.objects.filter(pk=each.pk).update(checked_at=long_ago - timedelta(hours=hours))
    assert sorted(health.due(2)) == sorted([line.pk, waiting[1].pk])
    assert health.due(2) == [waiting[0].pk]


def test_every_due_line_gets_a_task_of_its_own(broker, line):
    broker.delete("housekeeping")
    tasks.check_lines()
    [task] = broker.lrange("housekeeping", 0, -1)
    assert b"externallines.tasks.check_line" in task
    broker.delete("housekeeping")


def test_beat_has_the_lines_checked():
    import_module("externallines.migrations.0003_check_schedule").create_entry(apps, None)
    assert PeriodicTask.objects.get(name="Check lines").task == tasks.check_lines.name


# What an account tells of itself


def test_a_line_looks_like_its_account_where_the_owner_does_not_say(world, portal, toy):
    toy.account = Account("2", "Ann's shop", "+380501", "https://x.example/shop.png")
    line = connect(portal=portal, channel="toy", profile=Profile(), credentials={"token": "2"})
    assert (line.name, line.phone_number, line.icon) == ("Ann's shop", "+380501", "https://x.example/shop.png")
    shown = world.uspacy.portals[portal.domain].lines[line.uspacy_id]
    assert (shown["name"], shown["phoneNumber"], shown["icon"]) == (line.name, line.phone_number, line.icon)


def test_what_the_owner_says_goes_before(portal, toy):
    toy.account = Account("2", "Ann's shop", "+380501", "https://x.example/shop.png")
    line = connect(
        portal=portal, channel="toy", profile=Profile("Mine", phone_number="1"), credentials={"token": "2"}
    )
    assert (line.name, line.phone_number, line.icon) == ("Mine", "1", "https://x.example/shop.png")


def test_an_account_without_a_name_is_named_after_its_messenger(portal, toy):
    toy.account = Account("2", picture_url="https://x.example/" + "x" * 1000)
    line = connect(portal=portal, channel="toy", profile=Profile(), credentials={"token": "2"})
    assert (line.name, line.icon) == ("Toy", "")


def test_what_an_account_tells_is_kept_with_the_credentials(portal, toy, line):
    toy.account = Account("toy-account", learned={"real_id": "17"})
    reconnect(line)
    assert ExternalLine.objects.get().credentials == {"token": "1", "real_id": "17"}
    toy.account = Account("2", learned={"real_id": "18"})
    line = connect(portal=portal, channel="toy", profile=Profile("Second"), credentials={"token": "2"})
    assert ExternalLine.objects.get(pk=line.pk).credentials == {"token": "2", "real_id": "18"}


def test_an_account_is_connected_once(portal, toy):
    with pytest.raises(AlreadyConnected):
        connect(portal=portal, channel="toy", profile=Profile("Again"), credentials={"token": "2"})


def test_a_closed_line_takes_calls_while_it_is_reconnected(toy, line):
    answers = []
    toy.while_subscribing = lambda: answers.append(toy.tell().status_code)  # as Viber does in set_webhook
    disconnect(line)
    assert toy.tell().status_code == 410
    assert reconnect(ExternalLine.objects.select_related("portal").get()).status == "active"
    assert answers == [202]


def test_a_line_shows_what_its_owner_may_look_up(look):
    assert look()["verify_token"] == "verify-1"
