"""The form in which an owner connects an account, and what is stored of it."""

from collections.abc import Mapping
from typing import Any

from externallines.channels import CHANNELS
from externallines.channels.base import InvalidCredentials
from externallines.models import ExternalLine


def checked(channel: str, credentials: Mapping[str, Any]) -> dict[str, str]:
    """Return the credentials as strings, each a field of the channel. Raises InvalidCredentials."""
    fields = {field.name: field for field in CHANNELS[channel].credential_fields}
    for name, value in credentials.items():
        if name not in fields:
            raise InvalidCredentials("This channel has no such field.", field=str(name))
        if not isinstance(value, str) or len(value) > 2000:
            raise InvalidCredentials("This has to be a text of at most 2,000 characters.", field=name)
    given = {name: value.strip() for name, value in credentials.items()}
    for name, field in fields.items():
        if field.required and not given.get(name):
            raise InvalidCredentials("This field is required.", field=name)
    return given


def changed(line: ExternalLine, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the line's credentials with these fields of the form changed. Raises InvalidCredentials."""
    channel, stored = CHANNELS[line.channel], line.credentials
    prepared = channel.prepare(_completed(line, changes))
    form = {field.name for field in channel.credential_fields}
    outdated = {name for name, field in channel.belongs_to.items() if prepared.get(field) != stored.get(field)}
    # The messenger still has the secrets that we generated before.
    return {**prepared, **{name: stored[name] for name in stored.keys() - form - outdated}}


def _completed(line: ExternalLine, changes: Mapping[str, Any]) -> dict[str, str]:
    """Return the line's form with these fields changed. Raises InvalidCredentials."""
    names = [field.name for field in CHANNELS[line.channel].credential_fields]
    stored = {name: line.credentials[name] for name in names if name in line.credentials}
    return checked(line.channel, {**stored, **{name: value for name, value in changes.items() if value}})
