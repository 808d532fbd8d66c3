"""Secrets are encrypted at rest; keys can be rotated, and a missing one is named."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db import connection

from externallines.models import ExternalLine
from portals.models import Portal

pytestmark = pytest.mark.django_db

OLD_KEY, NEW_KEY, OTHER_KEY = (Fernet.generate_key().decode() for _key in range(3))
SECRET = "a-token-that-nobody-may-read"


@pytest.fixture(autouse=True)
def _old_key(settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD_KEY]


@pytest.fixture
def portal() -> Portal:
    return Portal.objects.create(domain="acme.uspacy.ua", token=SECRET)


@pytest.fixture
def line(portal: Portal) -> ExternalLine:
    return ExternalLine.objects.create(
        portal=portal, channel="webhook", name="Shop", credentials={"token": SECRET, "ids": [1, None]}
    )


def at_rest(thing: Portal | ExternalLine, column: str) -> str:
    """What the database holds."""
    table = thing._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT "{column}" FROM "{table}" WHERE id = %s', [thing.pk])
        return str(cursor.fetchone()[0])


def write_at_rest(portal: Portal, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE portals_portal SET token = %s WHERE id = %s", [text, portal.pk])


def test_the_database_holds_no_readable_text(portal: Portal, line: ExternalLine) -> None:
    for stored in (at_rest(portal, "token"), at_rest(line, "credentials")):
        assert SECRET not in stored
        assert "token" not in stored
        assert SECRET.encode() in Fernet(OLD_KEY).decrypt(stored)


def test_what_was_stored_is_read_again(portal: Portal, line: ExternalLine) -> None:
    assert Portal.objects.get().token == SECRET
    assert ExternalLine.objects.get().credentials == {"token": SECRET, "ids": [1, None]}


def test_an_update_encrypts_too(portal: Portal, line: ExternalLine) -> None:
    Portal.objects.update(token="ще один")
    ExternalLine.objects.update(credentials={"token": "ще один"})
    for stored in (at_rest(portal, "token"), at_rest(line, "credentials")):
        assert stored.isascii()
        assert "token" not in stored
    assert Portal.objects.get().token == "ще один"
    assert ExternalLine.objects.get().credentials == {"token": "ще один"}


def test_the_same_text_never_looks_the_same(portal: Portal) -> None:
    before = at_rest(portal, "token")
    portal.save()
    assert at_rest(portal, "token") != before


def test_an_empty_text_stays_empty(portal: Portal) -> None:
    portal.token = ""
    portal.save()
    assert at_rest(portal, "token") == ""
    assert Portal.objects.get().token == ""


def test_only_empty_values_can_be_looked_for(portal: Portal, line: ExternalLine) -> None:
    assert Portal.objects.filter(refresh_token="").exists()
    assert not Portal.objects.filter(token="").exists()
    assert not Portal.objects.filter(token__isnull=True).exists()
    for lookup in ("startswith", "contains", "regex", "gt", "in"):
        with pytest.raises(FieldError):
            Portal.objects.filter(**{f"token__{lookup}": at_rest(portal, "token")})
        with pytest.raises(FieldError):
            ExternalLine.objects.filter(**{f"credentials__{lookup}": at_rest(line, "credentials")})


@pytest.mark.parametrize("value", [{}, [], "", 0, None, False, {"a": {"b": ["ї", 1.5]}}], ids=repr)
def test_any_json_value_is_read_as_it_was_stored(line: ExternalLine, value: Any) -> None:
    line.credentials = value
    line.save()
    stored = ExternalLine.objects.get().credentials
    assert stored == value
    assert type(stored) is type(value)


def test_a_new_key_reads_what_the_old_one_wrote_and_writes_with_itself(
    settings: Any, portal: Portal, line: ExternalLine
) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [NEW_KEY, OLD_KEY]
    assert Portal.objects.get().token == SECRET
    assert ExternalLine.objects.get().credentials["token"] == SECRET
    portal.save()
    line.save()
    settings.FIELD_ENCRYPTION_KEYS = [NEW_KEY]
    assert Portal.objects.get().token == SECRET
    assert ExternalLine.objects.get().credentials["token"] == SECRET
    settings.FIELD_ENCRYPTION_KEYS = [OLD_KEY]
    with pytest.raises(ImproperlyConfigured):
        Portal.objects.get()


def test_a_missing_key_is_named_and_nothing_is_shown(settings: Any, portal: Portal, line: ExternalLine) -> None:
    stored = at_rest(portal, "token")
    settings.FIELD_ENCRYPTION_KEYS = [NEW_KEY, OTHER_KEY]
    for model in (Portal, ExternalLine):
        with pytest.raises(ImproperlyConfigured, match="FIELD_ENCRYPTION_KEYS lacks the key") as error:
            model.objects.get()
        assert not any(secret in str(error.value) for secret in (stored, NEW_KEY, OTHER_KEY))
        assert error.value.__suppress_context__


@pytest.mark.parametrize("text", ["plain", "gAAAAA", "  ", "ї"])
def test_text_that_we_did_not_encrypt_is_not_taken_for_a_secret(portal: Portal, text: str) -> None:
    write_at_rest(portal, text)
    with pytest.raises(ImproperlyConfigured, match="FIELD_ENCRYPTION_KEYS"):
        Portal.objects.get()


def test_a_changed_ciphertext_is_refused(portal: Portal) -> None:
    stored = at_rest(portal, "token")
    write_at_rest(portal, stored[:30] + ("A" if stored[30] != "A" else "B") + stored[31:])
    with pytest.raises(ImproperlyConfigured):
        Portal.objects.get()
