"""What is remembered of the running system, and the cache of the database."""

import uuid

import django.db.models.functions.datetime
from django.core.management import call_command
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def make_cache(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The table of Django's database cache."""
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Pulse",
            fields=[
                (
                    "name",
                    models.CharField(max_length=30, primary_key=True, serialize=False, verbose_name="part"),
                ),
                (
                    "beat_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="last beat"
                    ),
                ),
            ],
            options={
                "verbose_name": "background part",
                "verbose_name_plural": "background parts",
            },
        ),
        migrations.CreateModel(
            name="IdempotencyKey",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("tenant_id", models.UUIDField()),
                ("key", models.CharField(max_length=255, verbose_name="key")),
                ("fingerprint", models.CharField(max_length=64)),
                ("claim", models.UUIDField()),
                ("claimed_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(db_index=True, verbose_name="expires")),
                ("status", models.PositiveSmallIntegerField(null=True, verbose_name="status")),
                ("body", models.TextField(blank=True)),
                ("headers", models.JSONField(default=dict)),
            ],
            options={
                "verbose_name": "idempotency key",
                "verbose_name_plural": "idempotency keys",
                "constraints": [
                    models.UniqueConstraint(fields=("tenant_id", "key"), name="idempotency_key_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Label",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("tenant_id", models.UUIDField()),
                ("namespace", models.CharField(max_length=63, verbose_name="namespace")),
                ("kind", models.CharField(max_length=20, verbose_name="kind")),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("object_id", models.UUIDField(unique=True)),
            ],
            options={
                "verbose_name": "label",
                "verbose_name_plural": "labels",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "namespace", "kind", "name"), name="label_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RateWindow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("token_id", models.UUIDField()),
                ("starts_at", models.DateTimeField(db_index=True)),
                ("taken", models.PositiveIntegerField()),
            ],
            options={
                "verbose_name": "rate window",
                "verbose_name_plural": "rate windows",
                "constraints": [
                    models.UniqueConstraint(fields=("token_id", "starts_at"), name="rate_window_once")
                ],
            },
        ),
        migrations.RunPython(make_cache, lambda _apps, editor: editor.execute("DROP TABLE cache")),
    ]
