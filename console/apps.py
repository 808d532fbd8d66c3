from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class ConsoleConfig(AppConfig):
    name = "console"
    verbose_name = _("Support console")

    def ready(self) -> None:
        from console import names
        from console.rights import grant_to_groups

        names.apply()
        # Sent only for apps that have models, which the console has not.
        post_migrate.connect(grant_to_groups, sender=apps.get_app_config("messaging"))
