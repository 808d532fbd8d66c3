from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class ConsoleConfig(AppConfig):
    name = "console"
    verbose_name = _("Support console")

    def ready(self) -> None:
        from console.rights import grant_to_groups

        post_migrate.connect(grant_to_groups, sender=self)
