"""What the console calls the rows of each model, in its headings as in its menu, and their fields in lists.

Most are not our models, and what the console says is no matter of a migration.
"""

from typing import TYPE_CHECKING

from django.apps import apps
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as StrPromise

NAMES: "dict[str, tuple[StrPromise, StrPromise]]" = {
    "portals.Portal": (_("portal"), _("portals")),
    "portals.PortalEvent": (_("portal event"), _("portal events")),
    "externallines.ExternalLine": (_("line"), _("lines")),
    "messaging.Chat": (_("chat"), _("chats")),
    "messaging.Message": (_("message"), _("messages")),
    "messaging.Attachment": (_("attachment"), _("attachments")),
    "messaging.Delivery": (_("delivery"), _("deliveries")),
    "messaging.WebhookEvent": (_("webhook event"), _("webhook events")),
    "messaging.SnsTopic": (_("SNS topic"), _("SNS topics")),
    "admin.LogEntry": (_("what somebody did"), _("what staff did")),
    "axes.AccessAttempt": (_("failed sign-in"), _("failed sign-ins")),
    "django_celery_beat.PeriodicTask": (_("scheduled task"), _("schedule")),
}
COLUMNS: "dict[str, dict[str, StrPromise]]" = {
    "portals.Portal": {"domain": _("domain"), "status": _("status"), "last_error": _("last error")},
    "externallines.ExternalLine": {"status": _("status")},
    "messaging.SnsTopic": {"arn": _("ARN"), "status": _("status"), "error": _("error")},
}


def apply() -> None:
    for model, (one, many) in NAMES.items():
        meta = apps.get_model(model)._meta
        meta.verbose_name, meta.verbose_name_plural = one, many
    for model, names in COLUMNS.items():
        for field, name in names.items():
            apps.get_model(model)._meta.get_field(field).verbose_name = name
