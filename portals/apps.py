from django.apps import AppConfig
from django.conf import settings

from portals import http


class PortalsConfig(AppConfig):
    name = "portals"

    def ready(self) -> None:
        from portals import schema  # noqa: F401  registers the extension

        http.allow_private_networks = settings.ALLOW_PRIVATE_NETWORKS
