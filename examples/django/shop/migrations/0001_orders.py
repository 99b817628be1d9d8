"""Orders."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds them. The version before it goes on, since it does not know them."""

    initial = True
    operations = [  # noqa: RUF012 - as Django writes it
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("product", models.CharField(max_length=100)),
                ("packed", models.DateTimeField(null=True)),
            ],
        ),
    ]
