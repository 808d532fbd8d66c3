"""Model fields that are encrypted at rest."""

import functools
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db.models import Lookup, TextField

SECRETS_REMEMBERED = 4096


@functools.lru_cache(maxsize=SECRETS_REMEMBERED)
def _decrypt(ciphertext: str) -> str:
    """Return what was encrypted. It is remembered: every message passes its portal's and its line's secrets."""
    return _cipher().decrypt(ciphertext.encode()).decode()


@functools.cache
def _cipher() -> MultiFernet:
    """Return the cipher of `FIELD_ENCRYPTION_KEYS`: the first key encrypts, all decrypt."""
    return MultiFernet([Fernet(key) for key in settings.FIELD_ENCRYPTION_KEYS])


def _forget_cipher(*, setting: str, **kwargs: Any) -> None:
    if setting == "FIELD_ENCRYPTION_KEYS":
        _cipher.cache_clear()
        _decrypt.cache_clear()


setting_changed.connect(_forget_cipher)


class EncryptedTextField(TextField):
    """Text that PostgreSQL stores only encrypted (Fernet). It cannot be searched."""

    def get_lookup(self, lookup_name: str) -> "type[Lookup[Any]] | None":
        """Allow to look for empty values only: the others would compare with the ciphertext."""
        return super().get_lookup(lookup_name) if lookup_name in ("exact", "isnull") else None

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return _cipher().encrypt(text.encode()).decode() if text else text

    def from_db_value(self, value: str | None, *args: Any) -> Any:
        if not value:
            return value
        try:
            return _decrypt(value)
        except InvalidToken:
            raise ImproperlyConfigured(
                "FIELD_ENCRYPTION_KEYS lacks the key that encrypted a stored secret; add the old key to its end"
            ) from None


class EncryptedJSONField(EncryptedTextField):
    """A JSON value, encrypted as a whole."""

    _pyi_private_set_type: Any  # for django-stubs
    _pyi_private_get_type: Any

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(json.dumps(value))

    def from_db_value(self, value: str | None, *args: Any) -> Any:
        text = super().from_db_value(value, *args)
        return json.loads(text) if text else None
