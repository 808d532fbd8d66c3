from datetime import datetime, timezone

from django.db import migrations, models

LONG_AGO = datetime(2000, 1, 1, tzinfo=timezone.utc)


def create_entry(apps, schema_editor):
    Interval = apps.get_model("django_celery_beat", "IntervalSchedule")
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    interval, _ = Interval.objects.get_or_create(every=60, period="seconds")
    Task.objects.get_or_create(
        name="Count what the hours brought",
        defaults={
            "task": "messaging.tasks.count_hours",
            "interval": interval,
            "expire_seconds": 60,
            "last_run_at": LONG_AGO,
        },
    )


class Migration(migrations.Migration):
    dependencies = [("messaging", "0008_console")]
    operations = [
        migrations.CreateModel(
            name="HourlyFigures",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField()),
                (
                    "direction",
                    models.CharField(
                        choices=[("in", "From the customer"), ("out", "From the operator")], max_length=3
                    ),
                ),
                ("messages", models.PositiveIntegerField(default=0)),
                ("first_id", models.BigIntegerField(blank=True, null=True)),
                ("last_id", models.BigIntegerField(blank=True, null=True)),
                ("times", models.JSONField(blank=True, default=dict)),
                ("counted_at", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("hour", "direction"), name="figures_unique_hour")
                ],
            },
        ),
        migrations.RunPython(create_entry, migrations.RunPython.noop),
    ]
