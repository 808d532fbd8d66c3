"""The shape of the marketplace's callbacks."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers


class InstallSerializer(serializers.Serializer[Any]):
    """The body of an install callback (uspacy-api.md 2.1)."""

    token = serializers.CharField(max_length=10_000)
    refresh_token = serializers.CharField(max_length=10_000)
    expiry_date = serializers.IntegerField(min_value=0, max_value=32_503_680_000)  # unix seconds, to the year 3000

    def validate_expiry_date(self, value: int) -> datetime:
        return datetime.fromtimestamp(value, UTC)
