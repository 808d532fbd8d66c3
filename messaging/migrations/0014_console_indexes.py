"""Index what staff look for first, without keeping anyone from writing meanwhile."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # as PostgreSQL wants it
    dependencies = [("messaging", "0013_delivery_filters")]
    operations = [
        AddIndexConcurrently(
            model_name="message",
            index=models.Index(condition=models.Q(("status", "queued")), fields=["-id"], name="message_queued"),
        ),
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("status", "failed")), fields=["chat", "-id"], name="delivery_failed_of_chat"
            ),
        ),
    ]
