"""Index by time what is counted hourly, without keeping anyone from writing meanwhile."""

import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # as PostgreSQL wants it
    dependencies = [("messaging", "0009_hourly_figures")]
    operations = [
        AddIndexConcurrently(
            model_name="message",
            index=django.contrib.postgres.indexes.BrinIndex(
                autosummarize=True, fields=["created_at"], name="message_created", pages_per_range=32
            ),
        ),
        AddIndexConcurrently(
            model_name="delivery",
            index=django.contrib.postgres.indexes.BrinIndex(
                autosummarize=True, fields=["settled_at"], name="delivery_settled", pages_per_range=32
            ),
        ),
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("status", "failed")), fields=["-settled_at"], name="delivery_failed_at"
            ),
        ),
    ]
