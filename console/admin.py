"""What the console has a page for."""

from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from console.chats import ChatAdmin
from console.deliveries import DeliveryAdmin
from console.events import WebhookEventAdmin
from console.lines import ExternalLineAdmin
from console.messages import MessageAdmin
from console.people import GroupAdmin, LogEntryAdmin, UserAdmin
from console.portals import PortalAdmin
from console.schedule import CrontabScheduleAdmin, IntervalScheduleAdmin, PeriodicTaskAdmin
from console.sign_in import AccessAttemptAdmin
from console.topics import SnsTopicAdmin
from externallines.models import ExternalLine
from messaging.models import Chat, Delivery, Message, SnsTopic, WebhookEvent
from portals.models import Portal

admin.site.unregister([User, Group, PeriodicTask, IntervalSchedule, CrontabSchedule])
admin.site.unregister([ClockedSchedule, SolarSchedule])  # nothing of ours goes by the sun or at one moment
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
    (AccessAttempt, AccessAttemptAdmin),
    (PeriodicTask, PeriodicTaskAdmin),
    (IntervalSchedule, IntervalScheduleAdmin),
    (CrontabSchedule, CrontabScheduleAdmin),
):
    admin.site.register(model, model_admin)
