"""The portal-facing API: connect, see, change and disconnect lines."""

import math
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from externallines import services
from externallines.channels import CHANNELS
from externallines.channels.base import InvalidCredentials
from externallines.models import ExternalLine
from externallines.pages import Pages
from externallines.serializers import (
    ChannelSerializer,
    ConnectedLineSerializer,
    LineChangeSerializer,
    LineConnectSerializer,
    LineSerializer,
)
from portals.authentication import calling_portal
from portals.errors import Conflict
from portals.http import Busy, RemoteError

PROFILE = ("name", "icon", "phone_number")


class BadGateway(APIException):
    status_code = status.HTTP_502_BAD_GATEWAY


class Unavailable(APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE

    def __init__(self, busy: Busy) -> None:
        super().__init__(str(busy))
        self.wait = math.ceil(busy.retry_after or 1)  # becomes Retry-After


class NewestLineFirst(Pages):
    ordering = "-id"


class ChannelList(APIView):
    """The messengers that can be connected, and what each needs to be told."""

    @extend_schema(
        responses=inline_serializer(
            "ChannelPage",
            {
                "next": serializers.URLField(allow_null=True),
                "previous": serializers.URLField(allow_null=True),
                "results": ChannelSerializer(many=True),
            },
        )
    )
    def get(self, request: Request) -> Response:
        channels = ChannelSerializer(CHANNELS.values(), many=True)
        return Response({"next": None, "previous": None, "results": channels.data})


class LineViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ExternalLine]):
    """The lines of the portal."""

    serializer_class = LineSerializer
    pagination_class = NewestLineFirst
    queryset = ExternalLine.objects.select_related("portal")
    lookup_field = "key"
    lookup_url_kwarg = "id"
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[ExternalLine]:
        return super().get_queryset().filter(portal=calling_portal(self.request))

    @extend_schema(request=LineConnectSerializer, responses={201: ConnectedLineSerializer})
    def create(self, request: Request) -> Response:
        """Connect a messenger account. Look at `status` and `error`: a line may need more work."""
        wanted = _valid(LineConnectSerializer(data=request.data))
        try:
            line = services.connect(
                portal=calling_portal(request),
                channel=wanted["channel"],
                profile=services.Profile(**{name: wanted[name] for name in PROFILE if name in wanted}),
                credentials=wanted["credentials"],
            )
        except InvalidCredentials as exc:
            raise _invalid_credentials(exc) from exc
        except services.AlreadyConnected as exc:
            raise Conflict(str(exc)) from exc
        body = {**LineSerializer(line).data, **services.get_channel(line).reveal()}
        return Response(body, status=status.HTTP_201_CREATED)

    @extend_schema(request=LineChangeSerializer, responses=LineSerializer)
    def partial_update(self, request: Request, id: str) -> Response:
        """Change how the line looks, or its credentials; follow new credentials with `reconnect/`."""
        line = self.get_object()
        wanted = _valid(LineChangeSerializer(data=request.data, partial=True))
        try:
            credentials = wanted.pop("credentials", None)
            old = {name: getattr(line, name) for name in PROFILE}
            profile = services.Profile(**{**old, **wanted}) if wanted else None
            services.change(line, profile=profile, credentials=credentials)
        except InvalidCredentials as exc:
            raise _invalid_credentials(exc) from exc
        except Busy as exc:
            raise Unavailable(exc) from exc
        except RemoteError as exc:
            raise BadGateway(str(exc)) from exc
        return Response(LineSerializer(line).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """Disconnect the line. Its history stays; connecting the same account again brings it back."""
        services.disconnect(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=LineSerializer)
    @action(detail=True, methods=["post"])
    def reconnect(self, request: Request, id: str) -> Response:
        """Go through connecting again, from where it stopped."""
        try:
            line = services.reconnect(self.get_object())
        except services.AlreadyConnected as exc:
            raise Conflict(str(exc)) from exc
        return Response(LineSerializer(line).data)


def _valid(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _invalid_credentials(exc: InvalidCredentials) -> ValidationError:
    return ValidationError({"credentials": {exc.field or "text": [str(exc)]}})
