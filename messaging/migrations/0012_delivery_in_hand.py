from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0008_console")]
    operations = [
        migrations.AddField("delivery", "in_hand", models.BooleanField(db_default=False, default=False)),
    ]
