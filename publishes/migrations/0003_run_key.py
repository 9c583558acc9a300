"""Two clicks on the wizard's last button make one draft: the second meets the first one's key."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("publishes", "0002_same_tenant_and_place")]
    operations = [
        migrations.AddField(
            model_name="productpublish",
            name="run_key",
            field=models.UUIDField(blank=True, editable=False, null=True, unique=True),
        ),
    ]
