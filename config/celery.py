"""The worker and beat processes: `celery -A config`."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_postrun
from django.db import reset_queries
from django_structlog.celery.steps import DjangoStructLogInitStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("config")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(DjangoStructLogInitStep)


@setup_logging.connect
def keep_django_logging(**kwargs: Any) -> None:
    """Stop Celery from configuring logs of its own; Django's are set up already."""


@task_postrun.connect
def forget_statements(**kwargs: Any) -> None:
    """Forget the statements that Django collects with DEBUG, as it does before each request."""
    reset_queries()
