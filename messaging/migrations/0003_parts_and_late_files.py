from datetime import datetime, timezone

from django.db import migrations, models

LONG_AGO = datetime(2000, 1, 1, tzinfo=timezone.utc)


def create_entry(apps, schema_editor):
    Interval = apps.get_model("django_celery_beat", "IntervalSchedule")
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    interval, _ = Interval.objects.get_or_create(every=60, period="seconds")
    Task.objects.get_or_create(
        name="Fetch late files",
        defaults={
            "task": "messaging.tasks.fetch_late_files",
            "interval": interval,
            "expire_seconds": 60,
            "last_run_at": LONG_AGO,
        },
    )


class Migration(migrations.Migration):
    dependencies = [("messaging", "0002_beat_schedule")]
    operations = [
        migrations.AddField("attachment", "retry_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("message", "uspacy_parts", models.PositiveSmallIntegerField(db_default=1, default=1)),
        migrations.RunPython(create_entry, migrations.RunPython.noop),
    ]
