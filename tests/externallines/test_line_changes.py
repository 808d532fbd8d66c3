"""What a line keeps of its account and its webhook, whatever happens meanwhile or gets lost."""

from collections.abc import Mapping
from typing import Any

import pytest

from externallines import health, tasks
from externallines.channels import CHANNELS
from externallines.channels.base import Account
from externallines.models import ExternalLine
from externallines.services import Profile, change, connect, disconnect, reconnect, unsubscribe
from portals.http import Unreachable
from portals.models import Portal
from tests.toy import Messenger, Toy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the messenger is asked to do with our webhook."""
    asked: list[str] = []
    monkeypatch.setattr(Toy, "subscribe", lambda self, url: asked.append("subscribe"))
    monkeypatch.setattr(Toy, "unsubscribe", lambda self, url: asked.append("unsubscribe"))
    return asked


def stored() -> ExternalLine:
    return ExternalLine.objects.select_related("portal").get(channel="toy")


# The webhook


def test_a_webhook_that_another_worker_removes_too_is_not_registered_again(
    toy: Messenger, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    disconnect(stored())

    def meanwhile(self: Toy, url: str) -> None:
        monkeypatch.setattr(Toy, "unsubscribe", lambda self, url: calls.append("unsubscribe"))
        tasks.tend_lines()  # a second run, which is faster

    monkeypatch.setattr(Toy, "unsubscribe", meanwhile)
    unsubscribe(stored())
    assert calls == ["unsubscribe"]
    assert (stored().status, stored().subscribed) == ("disabled", False)


def test_a_webhook_whose_registration_was_not_answered_is_removed_with_its_line(
    portal: Portal, toy: Messenger, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(self: Toy, url: str) -> None:
        calls.append("subscribe")
        raise Unreachable("The answer was lost.")

    toy.account = Account("other-account")
    monkeypatch.setattr(Toy, "subscribe", lost)
    line = connect(portal=portal, channel="toy", profile=Profile("Other shop"), credentials={"token": "2"})
    assert line.status == "error"
    disconnect(line)
    tasks.tend_lines()
    assert calls == ["subscribe", "unsubscribe"]


def test_a_webhook_that_is_registered_behind_its_removal_is_removed_again(
    toy: Messenger, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def subscribe(self: Toy, url: str) -> None:
        disconnect(stored())
        tasks.tend_lines()
        calls.append("subscribe")

    monkeypatch.setattr(Toy, "subscribe", subscribe)
    assert reconnect(stored()).status == "disabled"
    tasks.tend_lines()
    assert calls == ["unsubscribe", "subscribe", "unsubscribe"]


# The account


def test_a_line_does_not_become_another_accounts(toy: Messenger) -> None:
    toy.account = Account("other-account", "Other shop")
    line = reconnect(stored())
    assert line.status == stored().status == "error"
    assert line.error == "This is another account's token (Other shop); connect it as a new line."
    assert stored().external_id == "toy-account"
    toy.account = Account("toy-account")
    assert reconnect(stored()).status == "active"


def test_a_line_that_never_had_an_account_takes_the_one_it_gets(toy: Messenger) -> None:
    line = stored()
    ExternalLine.objects.update(external_id=str(line.key))  # as when the first check failed
    assert reconnect(stored()).status == "active"
    assert stored().external_id == "toy-account"


# The credentials


def test_changed_credentials_keep_what_was_generated_and_learned(
    toy: Messenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = iter(range(10))

    def prepare(given: Mapping[str, str]) -> dict[str, Any]:
        return {**given, "made": f"secret {next(made)}", "entered_at": f"moment {next(made)}"}

    monkeypatch.setattr(Toy, "prepare", prepare)
    monkeypatch.setattr(Toy, "belongs_to", {"entered_at": "token", "expires_at": "token"})
    old = {"token": "1", "made": "the secret", "real_id": "17", "entered_at": "then", "expires_at": "soon"}
    ExternalLine.objects.update(credentials=old)
    change(stored(), credentials={"token": "1"})
    assert stored().credentials == old
    change(stored(), credentials={"token": "2"})
    assert stored().credentials == {
        "token": "2",
        "made": "the secret",
        "real_id": "17",
        "entered_at": "moment 3",
    }


@pytest.mark.parametrize(
    ("channel", "name"),
    [(slug, name) for slug in ("instagram", "webhook") for name in CHANNELS[slug].belongs_to.values()],
)
def test_what_belongs_to_a_field_names_one_of_the_form(channel: str, name: str) -> None:
    assert name in {field.name for field in CHANNELS[channel].credential_fields}


def test_a_changed_telegram_line_still_takes_what_telegram_signs_with_the_old_secret(portal: Portal) -> None:
    form = {"token": f"123456789:{'A' * 35}"}
    credentials = {**CHANNELS["telegram"].prepare(form), "webhook_secret": "as-telegram-has-it"}
    line = ExternalLine.objects.create(
        portal=portal, channel="telegram", name="Bot", external_id="123456789", credentials=credentials
    )
    change(line, credentials={"token": f"123456789:{'B' * 35}"})
    line.refresh_from_db()
    assert line.credentials == {"token": f"123456789:{'B' * 35}", "webhook_secret": "as-telegram-has-it"}


def test_a_reconnect_keeps_credentials_that_came_meanwhile(
    toy: Messenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account("toy-account", learned={"real_id": "17"})

    def check(self: Toy) -> Account:
        toy.renewed = {"token": "renewed"}
        health.check(stored().pk)
        return account

    monkeypatch.setattr(Toy, "check", check)
    reconnect(stored())
    assert stored().credentials == {"token": "renewed", "real_id": "17"}
