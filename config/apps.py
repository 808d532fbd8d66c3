from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import pre_migrate


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        from config import checks  # noqa: F401  registers them

        pre_migrate.connect(lift_statement_timeout, dispatch_uid="config.lift_statement_timeout")


def lift_statement_timeout(*, using: str, **kwargs: Any) -> None:
    """Let a migration take its time: an index on a large table needs more than any request may."""
    with connections[using].cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
