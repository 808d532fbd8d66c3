"""Find lines by the words of their name and by ids, without keeping anyone from writing meanwhile."""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # as PostgreSQL wants it
    dependencies = [("externallines", "0006_console_indexes")]
    operations = [
        AddIndexConcurrently(
            model_name="externalline",
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
                name="line_words",
            ),
        ),
        AddIndexConcurrently(
            model_name="externalline", index=models.Index(fields=["external_id"], name="line_external_id")
        ),
        AddIndexConcurrently(
            model_name="externalline",
            index=models.Index(
                condition=models.Q(("uspacy_id", ""), _negated=True), fields=["uspacy_id"], name="line_uspacy_id"
            ),
        ),
    ]
