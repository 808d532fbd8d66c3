"""The shape of the marketplace's callbacks."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers


class TokenField(serializers.CharField):
    """A string; DRF would also take a number for one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class InstallSerializer(serializers.Serializer[Any]):
    """The body of an install callback (uspacy-api.md 2.1)."""

    token = TokenField(max_length=10_000)
    refresh_token = TokenField(max_length=10_000)
    expiry_date = serializers.IntegerField(min_value=0, max_value=32_503_680_000)  # unix seconds, to the year 3000

    def validate_expiry_date(self, value: int) -> datetime:
        return datetime.fromtimestamp(value, UTC)
