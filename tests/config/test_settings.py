"""Settings come from the environment: what is missing is named, what is dangerous is a check with an id."""

import json
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import checks

from tests.config.production import REQUIRED, environment, run

SHOW = """
import json, sys
import config.wsgi
from django.conf import settings
json.dump([{name: getattr(settings, name) for name in sys.argv[1:]}, "config.embedded" in sys.modules], sys.stdout)
"""


def settings_in(environment: dict[str, str], *names: str) -> dict[str, Any]:
    """Return what a web process with these variables has for settings."""
    process = run(environment, "-c", SHOW, *names)
    assert process.returncode == 0, process.stderr
    values, embedded = json.loads(process.stdout)
    assert not embedded
    return values


# Starting


def test_production_starts_with_the_required_variables_and_without_embedded_servers() -> None:
    names = ("DEBUG", "SECRET_KEY", "USPACY_CLIENT_SECRETS", "USPACY_DOMAINS", "ALLOW_PRIVATE_NETWORKS")
    assert settings_in(environment(), *names) == {
        "DEBUG": False,
        "SECRET_KEY": REQUIRED["SECRET_KEY"],
        "USPACY_CLIENT_SECRETS": [REQUIRED["USPACY_CLIENT_SECRET"]],
        "USPACY_DOMAINS": ["uspacy.ua", "uspacy.com", "uspacy.pl", "uspacy.com.br", "uspacy.eu"],
        "ALLOW_PRIVATE_NETWORKS": False,
    }


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_start_without_a_required_variable_fails_and_names_it(missing: str) -> None:
    variables = environment()
    del variables[missing]
    program = "import sys\ntry:\n    import config.wsgi\nfinally:\n    print('config.embedded' in sys.modules)"
    process = run(variables, "-c", program)
    assert process.returncode != 0
    assert process.stderr.strip().splitlines()[-1].endswith(f"Set the {missing} environment variable")
    assert process.stdout.strip() == "False"
    assert not any(value in process.stderr for name, value in REQUIRED.items() if "SECRET" in name)


@pytest.mark.parametrize(("threads", "calls"), [("4", "3"), ("1", "1")])
def test_a_web_process_keeps_a_thread_for_what_calls_nobody(threads: str, calls: str) -> None:
    program = "import config.wsgi\nfrom portals import gate\nprint(gate.threads)"
    process = run(environment(WEB_THREADS=threads), "-c", program)
    assert process.stdout.strip() == calls, process.stderr


def test_an_empty_variable_is_a_missing_one() -> None:
    process = run(environment(PUBLIC_URL=""), "manage.py", "check")
    assert process.returncode != 0
    assert "Set the PUBLIC_URL environment variable" in process.stderr


def test_lists_may_have_spaces_and_keep_their_order() -> None:
    values = settings_in(
        environment(
            USPACY_CLIENT_SECRET="new, old ,",
            FIELD_ENCRYPTION_KEYS=" b,a",
            USPACY_DOMAINS="Uspacy.UA, uspacy.eu",
            SNS_TOPIC_ARNS="arn:1, arn:2",
            ALLOWED_HOSTS="a.example.com, b.example.com",
        ),
        *("USPACY_CLIENT_SECRETS", "FIELD_ENCRYPTION_KEYS", "USPACY_DOMAINS", "SNS_TOPIC_ARNS", "ALLOWED_HOSTS"),
    )
    assert values == {
        "USPACY_CLIENT_SECRETS": ["new", "old"],
        "FIELD_ENCRYPTION_KEYS": ["b", "a"],
        "USPACY_DOMAINS": ["uspacy.ua", "uspacy.eu"],
        "SNS_TOPIC_ARNS": ["arn:1", "arn:2"],
        "ALLOWED_HOSTS": ["a.example.com", "b.example.com"],
    }


def test_addresses_are_taken_as_they_are_given() -> None:
    values = settings_in(
        environment(
            PUBLIC_URL="https://lines.example.com/",
            URL_PREFIX="/bridge/v1/",
            DATABASE_URL="postgresql://user:p%40ss@db.example.com:6432/lines?sslmode=verify-full",
            CELERY_BROKER_URL="amqp://rabbit.example.com//",
        ),
        *("PUBLIC_URL", "URL_PREFIX", "DATABASES", "CELERY_BROKER_URL", "CSRF_TRUSTED_ORIGINS"),
    )
    assert (values["PUBLIC_URL"], values["URL_PREFIX"]) == ("https://lines.example.com", "bridge/v1")
    assert values["CSRF_TRUSTED_ORIGINS"] == ["https://lines.example.com"]
    assert values["CELERY_BROKER_URL"] == "amqp://rabbit.example.com//"
    database = values["DATABASES"]["default"]
    assert (database["HOST"], database["PORT"], database["PASSWORD"]) == ("db.example.com", 6432, "p@ss")
    assert database["OPTIONS"]["sslmode"] == "verify-full"
    assert database["OPTIONS"]["pool"]


# Checks


@pytest.fixture
def good(settings: Any) -> Any:
    """Settings as in production, in which nothing is wrong."""
    settings.DEBUG = False
    settings.PUBLIC_URL = "https://lines.example.com"
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    settings.USPACY_CLIENT_SECRETS = ["a-client-secret-of-at-least-32-bytes"]
    settings.USPACY_API_URL = settings.DEFAULT_USPACY_API_URL
    settings.SNS_CERT_URL_PATTERN = settings.DEFAULT_SNS_CERT_URL_PATTERN
    settings.ALLOW_PRIVATE_NETWORKS = False
    return settings


def found(*, deploy: bool = True) -> list[str | None]:
    """The ids of our own checks that fire."""
    messages = checks.run_checks(include_deployment_checks=deploy)
    return sorted(message.id for message in messages if (message.id or "").startswith("config."))


def test_nothing_is_found_where_nothing_is_wrong(good: Any) -> None:
    good.USPACY_CLIENT_SECRETS = ["я" * 16, ""]  # 32 bytes
    assert found() == []


FIRES = [
    ("config.E001", {"FIELD_ENCRYPTION_KEYS": []}),
    ("config.E002", {"FIELD_ENCRYPTION_KEYS": ["not-a-key"]}),
    ("config.E002", {"FIELD_ENCRYPTION_KEYS": ["development-only-key-it-protects-nothing-00=", "ключ"]}),
    ("config.E003", {"USPACY_CLIENT_SECRETS": []}),
    ("config.E003", {"USPACY_CLIENT_SECRETS": [""]}),
    (
        "config.E004",
        {"USPACY_API_URL": "https://acme.uspacy.ua", "DEFAULT_USPACY_API_URL": "https://acme.uspacy.ua"},
    ),
    ("config.E005", {"SNS_CERT_URL_PATTERN": "^(", "DEFAULT_SNS_CERT_URL_PATTERN": "^("}),
    ("config.W001", {"USPACY_CLIENT_SECRETS": ["a-client-secret-of-at-least-32-bytes", "x" * 31]}),
    ("config.W002", {"ALLOW_PRIVATE_NETWORKS": True}),
    ("config.W003", {"USPACY_API_URL": "http://127.0.0.1:9100/uspacy/{domain}"}),
    ("config.W004", {"SNS_CERT_URL_PATTERN": "^https://"}),
    ("config.W005", {"PUBLIC_URL": "http://lines.example.com"}),
]


@pytest.mark.parametrize(("id", "wrong"), FIRES)
def test_what_is_wrong_is_found_and_nothing_else(good: Any, id: str, wrong: dict[str, Any]) -> None:
    for name, value in wrong.items():
        setattr(good, name, value)
    assert found() == [id]
    only_in_production = id in ("config.W002", "config.W003", "config.W004", "config.W005")
    assert found(deploy=False) == ([] if only_in_production else [id])
    good.DEBUG = True
    assert found() == ([] if only_in_production else [id])


def test_a_bad_key_is_named_by_its_number_and_not_shown(good: Any) -> None:
    good.FIELD_ENCRYPTION_KEYS = [*good.FIELD_ENCRYPTION_KEYS, "half-a-key"]
    [message] = [message for message in checks.run_checks() if message.id == "config.E002"]
    assert "Key 2" in message.msg
    assert "half-a-key" not in str(message)


@pytest.mark.parametrize("prefix", ["", "bridge/v1"])
def test_a_production_environment_passes_every_check_of_deployment(prefix: str) -> None:
    process = run(environment(URL_PREFIX=prefix), "manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert process.returncode == 0, process.stderr
    assert "no issues" in process.stdout


def test_a_dangerous_environment_does_not_pass_the_checks_of_deployment() -> None:
    dangerous = environment(ALLOW_PRIVATE_NETWORKS="1", PUBLIC_URL="http://lines.example.com", ALLOWED_HOSTS="")
    process = run(dangerous, "manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert process.returncode != 0
    for id in ("config.W002", "config.W005", "security.W020"):
        assert id in process.stderr
