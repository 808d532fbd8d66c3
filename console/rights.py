"""Who may do what: two groups that every deployment has. Superusers may do everything.

The groups are the product's: each `migrate` gives them what a release lets them do, and what was taken from them.
What an administrator grants on top of that stays. For other sets of rights there are groups of one's own.
"""

from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.management import create_permissions

SEE = (
    "portals.view_portal",
    "portals.view_portalevent",
    "externallines.view_externalline",
    "messaging.view_chat",
    "messaging.view_message",
    "messaging.view_attachment",
    "messaging.view_delivery",
    "messaging.view_webhookevent",
    "messaging.view_snstopic",
)
SUPPORT = (
    *SEE,
    "portals.check_portal",
    "externallines.reconnect_externalline",
    "messaging.requeue_delivery",
    "messaging.reprocess_webhookevent",
)
SUPERVISOR = (
    *SUPPORT,
    "portals.renew_portal",
    "externallines.add_externalline",
    "externallines.change_externalline",
    "externallines.disconnect_externalline",
    "messaging.give_up_delivery",
    "messaging.approve_snstopic",
    "messaging.read_message",
)
GROUPS = {"Support": SUPPORT, "Supervisor": SUPERVISOR}


def grant_to_groups(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """Make the groups, and give them what a new release lets them do. Runs after each `migrate`."""
    from django.contrib.auth.models import Group, Permission

    for label in ("portals", "externallines", "messaging"):  # whose own turn may come later
        create_permissions(apps.get_app_config(label), verbosity=0, using=using)
    ids = {
        f"{app}.{codename}": pk
        for pk, app, codename in Permission.objects.using(using).values_list(
            "pk", "content_type__app_label", "codename"
        )
    }
    for name, permissions in GROUPS.items():
        group, _created = Group.objects.using(using).get_or_create(name=name)
        group.permissions.add(*(ids[permission] for permission in permissions))
