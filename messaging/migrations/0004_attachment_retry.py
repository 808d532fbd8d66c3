from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the index is built beside the running product
    dependencies = [("messaging", "0003_parts_and_late_files")]
    operations = [
        AddIndexConcurrently(
            "attachment",
            models.Index(
                fields=["retry_at"], condition=models.Q(retry_at__isnull=False), name="attachment_retry"
            ),
        ),
    ]
