from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0006_messenger_indexes")]
    operations = [
        migrations.AddField("delivery", "ambiguous", models.BooleanField(db_default=False, default=False)),
        migrations.AddField(
            "delivery", "failure", models.CharField(blank=True, db_default="", default="", max_length=50)
        ),
        migrations.AddField("delivery", "in_a_row", models.PositiveIntegerField(db_default=0, default=0)),
    ]
