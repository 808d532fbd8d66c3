"""Shapes of the portal-facing API."""

from typing import Any

from rest_framework import serializers

from externallines.channels import CHANNELS
from externallines.models import ExternalLine
from externallines.services import get_channel, webhook_url
from portals.payload import storable


class CredentialFieldSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # Field.label is another thing
    help_text = serializers.CharField()  # type: ignore[assignment]
    required = serializers.BooleanField()  # type: ignore[assignment]
    secret = serializers.BooleanField()


class ChannelSerializer(serializers.Serializer[Any]):
    channel = serializers.CharField(source="slug")
    label = serializers.CharField()  # type: ignore[assignment]
    credential_fields = CredentialFieldSerializer(many=True)


class LineSerializer(serializers.ModelSerializer[ExternalLine]):
    """A line as its portal sees it; credentials never leave us."""

    id = serializers.UUIDField(source="key", read_only=True)
    icon = serializers.CharField(read_only=True, help_text="A URL, or empty.")
    webhook_url = serializers.SerializerMethodField()
    # Not `read_only`, which the schema calls required: it is not always there. Nobody writes with this serializer.
    verify_token = serializers.CharField(
        required=False, help_text="For Meta's App Dashboard; other channels have none."
    )

    class Meta:
        model = ExternalLine
        fields = (
            "id",
            "status",
            "error",
            "warning",
            "channel",
            "name",
            "icon",
            "phone_number",
            "external_id",
            "uspacy_id",
            "webhook_url",
            "verify_token",
            "created_at",
        )
        read_only_fields = fields

    def to_representation(self, line: ExternalLine) -> dict[str, Any]:
        return {**super().to_representation(line), **get_channel(line).show()}

    def get_webhook_url(self, line: ExternalLine) -> str:
        return webhook_url(line)


class ConnectedLineSerializer(LineSerializer):
    """The answer that connects a line: with what its owner is shown this once."""

    secret = serializers.CharField(
        required=False, help_text="The generated secret of a webhook line, shown only here."
    )

    class Meta(LineSerializer.Meta):
        fields = (*LineSerializer.Meta.fields, "secret")  # type: ignore[assignment]


class CredentialsField(serializers.DictField):
    """Texts by name; a name that could not even be quoted in an error is made harmless."""

    child = serializers.CharField(allow_blank=True, max_length=2000)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        named = {storable(name): value for name, value in data.items()} if isinstance(data, dict) else data
        given: dict[str, str] = super().to_internal_value(named)
        return given


class LineChangeSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=255, help_text="Unique among the external lines of the portal.")
    icon = serializers.URLField(max_length=1000, required=False, allow_blank=True)
    phone_number = serializers.CharField(max_length=64, required=False, allow_blank=True)
    credentials = CredentialsField(
        write_only=True,
        help_text="The fields that `/api/channels/` lists. In a change, what is left out or empty stays as it is; "
        "follow it with `reconnect/`.",
    )


class LineConnectSerializer(LineChangeSerializer):
    name = serializers.CharField(
        max_length=255,
        required=False,
        help_text="Unique among the external lines of the portal; the name of the account if left out.",
    )
    channel = serializers.ChoiceField(choices=[(slug, channel.label) for slug, channel in CHANNELS.items()])
