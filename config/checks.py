"""Wrong combinations of settings, as system checks: `manage.py check --deploy`."""

import re
from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

SHORTEST_SECRET = 32  # bytes; the official template refuses shorter HS256 keys (uspacy-api.md 2.2)


@register(Tags.security)
def check_settings(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """What is wrong in any environment."""
    found: list[CheckMessage] = []
    if not settings.FIELD_ENCRYPTION_KEYS:
        found.append(Error("FIELD_ENCRYPTION_KEYS is empty: secrets cannot be stored.", id="config.E001"))
    for number, key in enumerate(settings.FIELD_ENCRYPTION_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            found.append(
                Error(
                    f"Key {number} of FIELD_ENCRYPTION_KEYS is not a Fernet key.",
                    hint="Make one: python -c 'from cryptography.fernet import Fernet; "
                    "print(Fernet.generate_key().decode())'",
                    id="config.E002",
                )
            )
    if not any(settings.USPACY_CLIENT_SECRETS):
        found.append(Error("USPACY_CLIENT_SECRET is empty: no callback can be verified.", id="config.E003"))
    if "{domain}" not in settings.USPACY_API_URL:
        found.append(Error("USPACY_API_URL lacks {domain}: all portals would be one.", id="config.E004"))
    try:
        re.compile(settings.SNS_CERT_URL_PATTERN)
    except re.error as exc:
        found.append(Error(f"SNS_CERT_URL_PATTERN is not a regular expression: {exc}.", id="config.E005"))
    if any(0 < len(secret.encode()) < SHORTEST_SECRET for secret in settings.USPACY_CLIENT_SECRETS):
        found.append(Warning(f"A USPACY_CLIENT_SECRET is shorter than {SHORTEST_SECRET} bytes.", id="config.W001"))
    return found


@register(Tags.security, deploy=True)
def check_deployment(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """What is fine on a developer's machine and dangerous elsewhere."""
    if settings.DEBUG:
        return []
    found: list[CheckMessage] = []
    if settings.ALLOW_PRIVATE_NETWORKS:
        found.append(
            Warning("ALLOW_PRIVATE_NETWORKS lets portals make us call internal addresses.", id="config.W002")
        )
    if settings.USPACY_API_URL != settings.DEFAULT_USPACY_API_URL:
        found.append(Warning("USPACY_API_URL is changed: tokens go to another host.", id="config.W003"))
    if settings.SNS_CERT_URL_PATTERN != settings.DEFAULT_SNS_CERT_URL_PATTERN:
        found.append(Warning("SNS_CERT_URL_PATTERN is changed: others than Amazon can sign.", id="config.W004"))
    if not settings.PUBLIC_URL.startswith("https://"):
        found.append(Warning("PUBLIC_URL is not https: messengers will refuse it.", id="config.W005"))
    return found
