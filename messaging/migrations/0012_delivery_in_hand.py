from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0011_chat_search")]
    operations = [
        migrations.AddField("delivery", "in_hand", models.BooleanField(db_default=True, default=False)),
    ]
