"""Find chats by the words of the customer's name and by ids, on whatever line, while everyone goes on writing."""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # as PostgreSQL wants it
    dependencies = [("messaging", "0010_figures_indexes")]
    operations = [
        AddIndexConcurrently(
            model_name="chat",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.search.SearchVector(
                    models.Func(
                        "name",
                        models.Value("!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~’ʼ‘“”«»–—…"),
                        models.Value(" " * 41),
                        function="translate",
                        output_field=models.TextField(),
                    ),
                    config="simple",
                ),
                name="chat_words",
            ),
        ),
        AddIndexConcurrently(
            model_name="chat", index=models.Index(fields=["external_id"], name="chat_external_id")
        ),
        AddIndexConcurrently(
            model_name="chat", index=models.Index(fields=["contact_id", "line"], name="chat_of_contact")
        ),
        RemoveIndexConcurrently(model_name="chat", name="chat_contact"),
    ]
