"""The read-only log of the portal-facing API."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers

from externallines.pages import Pages
from messaging.models import Attachment, Chat, Message
from portals.authentication import calling_portal


class NewestChatFirst(Pages):
    ordering = ("-last_message_at", "-id")


class NewestMessageFirst(Pages):
    ordering = "-id"


class ChatSerializer(serializers.ModelSerializer[Chat]):
    id = serializers.UUIDField(source="uspacy_id")
    line = serializers.UUIDField(source="line.key")

    class Meta:
        model = Chat
        fields = ("id", "line", "external_id", "name", "picture_url", "meta", "blocked", "last_message_at")


class AttachmentSerializer(serializers.ModelSerializer[Attachment]):
    class Meta:
        model = Attachment
        fields = ("name", "mime_type", "size", "kind", "error")


class MessageSerializer(serializers.ModelSerializer[Message]):
    id = serializers.UUIDField(source="uspacy_id")
    chat = serializers.UUIDField(source="chat.uspacy_id")
    attachments = AttachmentSerializer(many=True)

    class Meta:
        model = Message
        fields = (
            "id",
            "chat",
            "direction",
            "type",
            "text",
            "status",
            "error",
            "external_id",
            "sent_at",
            "edited_at",
            "deleted_at",
            "attachments",
        )


class LineFilterSerializer(serializers.Serializer[Any]):
    line = serializers.UUIDField(required=False)


@extend_schema(parameters=[OpenApiParameter("line", str, description="The id of a line: only its chats.")])
class ChatList(generics.ListAPIView[Chat]):
    """The portal's chats, the one with the newest message first."""

    serializer_class = ChatSerializer
    pagination_class = NewestChatFirst
    queryset = Chat.objects.select_related("line")

    def get_queryset(self) -> QuerySet[Chat]:
        wanted = LineFilterSerializer(data=self.request.query_params)
        wanted.is_valid(raise_exception=True)
        chats = super().get_queryset().filter(line__portal=calling_portal(self.request))
        return chats.filter(line__key=wanted.validated_data["line"]) if wanted.validated_data else chats


class MessageList(generics.ListAPIView[Message]):
    """The messages of a chat, the newest first."""

    serializer_class = MessageSerializer
    pagination_class = NewestMessageFirst
    queryset = Message.objects.select_related("chat").prefetch_related("attachments")

    def get_queryset(self) -> QuerySet[Message]:
        chat = get_object_or_404(
            Chat, uspacy_id=self.kwargs["uspacy_id"], line__portal=calling_portal(self.request)
        )
        return super().get_queryset().filter(chat=chat)
