"""Give beat its entries. Operations may change them in the admin: they are created here once, and never reset."""

from datetime import datetime, timezone

from django.db import migrations

LONG_AGO = datetime(2000, 1, 1, tzinfo=timezone.utc)
SECONDS = [  # name, task, seconds
    ("Sweep", "messaging.tasks.sweep", 3),
    ("Tend lines", "externallines.tasks.tend_lines", 5),
    ("Confirm SNS subscriptions", "messaging.tasks.confirm_subscriptions", 2),
    ("Fail answers that waited too long", "messaging.tasks.expire_held", 300),
    ("Renew tokens that expire soon", "portals.tasks.renew_expiring_tokens", 900),
]
NIGHTLY = [  # name, task, hour, minute (UTC)
    ("Renew all tokens", "portals.tasks.renew_all_tokens", 1, 0),
    ("Prune webhook events", "messaging.tasks.prune_webhook_events", 3, 0),
    ("Prune portal history", "portals.tasks.prune_portal_events", 3, 30),
]


def create_entries(apps, schema_editor):
    Interval = apps.get_model("django_celery_beat", "IntervalSchedule")
    Crontab = apps.get_model("django_celery_beat", "CrontabSchedule")
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    for name, task, seconds in SECONDS:
        interval, _ = Interval.objects.get_or_create(every=seconds, period="seconds")
        Task.objects.get_or_create(
            name=name,
            defaults={
                "task": task,
                "interval": interval,
                # A run that no worker took in time is stale: the next one does its work.
                "expire_seconds": max(seconds, 10),
                # Due at once: a new installation is ready when beat has started, not an interval later.
                "last_run_at": LONG_AGO,
            },
        )
    for name, task, hour, minute in NIGHTLY:
        crontab, _ = Crontab.objects.get_or_create(
            hour=str(hour),
            minute=str(minute),
            day_of_week="*",
            day_of_month="*",
            month_of_year="*",
            timezone="UTC",
        )
        Task.objects.get_or_create(
            name=name, defaults={"task": task, "crontab": crontab, "expire_seconds": 12 * 3600}
        )


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(create_entries, migrations.RunPython.noop)]
