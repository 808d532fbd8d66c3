"""Index ids that most rows do not have, without keeping anyone from writing meanwhile."""

import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # as PostgreSQL wants it
    dependencies = [("messaging", "0005_messenger_needs")]
    operations = [
        AddIndexConcurrently(
            model_name="chat",
            index=django.contrib.postgres.indexes.GinIndex(
                condition=models.Q(("aliases", []), _negated=True), fields=["aliases"], name="chat_aliases"
            ),
        ),
        AddIndexConcurrently(
            model_name="message",
            index=django.contrib.postgres.indexes.GinIndex(
                condition=models.Q(("earlier_ids", []), _negated=True),
                fields=["earlier_ids"],
                name="message_earlier_ids",
            ),
        ),
    ]
