"""Index the lines to check, without keeping anyone from writing meanwhile."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # as PostgreSQL wants it
    dependencies = [("externallines", "0003_check_schedule")]
    operations = [
        AddIndexConcurrently(
            model_name="externalline",
            index=models.Index(
                condition=models.Q(("status", "active")), fields=["checked_at"], name="line_to_check"
            ),
        ),
    ]
