"""Index lines by their state, and those with a warning, without keeping anyone from writing meanwhile."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # as PostgreSQL wants it
    dependencies = [("externallines", "0005_console_rights")]
    operations = [
        AddIndexConcurrently(
            model_name="externalline",
            index=models.Index(fields=["status", "-id"], name="line_status"),
        ),
        AddIndexConcurrently(
            model_name="externalline",
            index=models.Index(
                condition=models.Q(("warning", ""), _negated=True), fields=["-id"], name="line_warned"
            ),
        ),
    ]
