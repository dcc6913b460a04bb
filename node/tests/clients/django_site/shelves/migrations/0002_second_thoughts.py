"""Columns come, go, get other names and types; rows are written by a migration."""

from django.db import migrations, models


def first_tags(apps, _editor):
    tag = apps.get_model("shelves", "Tag")
    for name in ("new", "old"):
        tag.objects.update_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [("shelves", "0001_initial")]
    operations = [
        migrations.CreateModel("Tag", [("name", models.SlugField(primary_key=True, serialize=False))]),
        migrations.RenameField("author", "title", "name"),
        migrations.AlterField("author", "name", models.CharField(max_length=100, unique=True)),
        migrations.AddField("book", "price", models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)),
        migrations.AddField("book", "tags", models.ManyToManyField(blank=True, to="shelves.tag")),
        migrations.RemoveField("book", "pages"),
        migrations.AlterField("book", "title", models.CharField(db_index=True, max_length=200)),
        migrations.RunPython(first_tags, migrations.RunPython.noop),
        migrations.AddConstraint("book", models.CheckConstraint(
            condition=models.Q(("price__gte", 0)), name="price_not_negative")),
        migrations.AddConstraint("book", models.UniqueConstraint(fields=("author", "title"), name="one_title")),
    ]
