from django.apps import AppConfig
from django.conf import settings

from externallines.channels import addresses


class ExternalLinesConfig(AppConfig):
    name = "externallines"
    verbose_name = "external lines"

    def ready(self) -> None:
        from externallines import receivers  # noqa: F401  models are ready only now

        addresses.telegram = settings.TELEGRAM_API_URL
        addresses.viber = addresses.viber_at(settings.VIBER_API_URL)
        addresses.meta_graph = addresses.graph_at(settings.META_GRAPH_URL)
        addresses.instagram_graph = addresses.graph_at(settings.INSTAGRAM_GRAPH_URL)
