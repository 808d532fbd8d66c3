from django.apps import AppConfig


class ExternalLinesConfig(AppConfig):
    name = "externallines"
    verbose_name = "external lines"

    def ready(self) -> None:
        from externallines import receivers  # noqa: F401  models are ready only now
