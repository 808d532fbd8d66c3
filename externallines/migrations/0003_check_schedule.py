"""Let beat have the lines checked. Operations may change the entry in the admin: it is created once, and never reset."""

from django.db import migrations


def create_entry(apps, schema_editor):
    Interval = apps.get_model("django_celery_beat", "IntervalSchedule")
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    interval, _ = Interval.objects.get_or_create(every=60, period="seconds")
    Task.objects.get_or_create(
        name="Check lines",
        defaults={"task": "externallines.tasks.check_lines", "interval": interval, "expire_seconds": 60},
    )


class Migration(migrations.Migration):
    dependencies = [
        ("externallines", "0002_line_health"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(create_entry, migrations.RunPython.noop)]
