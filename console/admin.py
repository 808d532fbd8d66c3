"""What the console has a page for."""

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User

from console.chats import ChatAdmin
from console.deliveries import DeliveryAdmin
from console.events import WebhookEventAdmin
from console.lines import ExternalLineAdmin
from console.messages import MessageAdmin
from console.people import GroupAdmin, LogEntryAdmin, UserAdmin
from console.portals import PortalAdmin
from console.topics import SnsTopicAdmin
from externallines.models import ExternalLine
from messaging.models import Chat, Delivery, Message, SnsTopic, WebhookEvent
from portals.models import Portal

admin.site.unregister([User, Group])
for model, model_admin in (
    (Portal, PortalAdmin),
    (ExternalLine, ExternalLineAdmin),
    (Chat, ChatAdmin),
    (Message, MessageAdmin),
    (Delivery, DeliveryAdmin),
    (WebhookEvent, WebhookEventAdmin),
    (SnsTopic, SnsTopicAdmin),
    (User, UserAdmin),
    (Group, GroupAdmin),
    (LogEntry, LogEntryAdmin),
):
    admin.site.register(model, model_admin)
