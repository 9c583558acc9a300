"""Gateway templates, their listeners, and the clusters they stand in."""

import uuid

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("clusters", "0001_initial"),
        ("tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Gateway",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                ("revision", models.PositiveIntegerField(default=1, editable=False)),
                (
                    "name",
                    models.CharField(
                        max_length=63,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]([-a-z0-9]*[a-z0-9])?\\Z",
                                "Lowercase letters, digits and hyphens; starts and ends with a letter or digit.",
                            )
                        ],
                        verbose_name="name",
                    ),
                ),
                (
                    "gateway_class",
                    models.CharField(
                        choices=[("envoy", "Envoy"), ("kong", "Kong")],
                        default="envoy",
                        max_length=20,
                        verbose_name="class",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("inactive", "Inactive")],
                        default="active",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="gateways",
                        to="tenants.tenant",
                        verbose_name="tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "gateway",
                "verbose_name_plural": "gateways",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="GatewayCluster",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                (
                    "cluster",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="places",
                        to="clusters.cluster",
                        verbose_name="cluster",
                    ),
                ),
                (
                    "gateway",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="places",
                        to="gateways.gateway",
                        verbose_name="gateway",
                    ),
                ),
            ],
            options={
                "verbose_name": "gateway's cluster",
                "verbose_name_plural": "gateway's clusters",
            },
        ),
        migrations.AddField(
            model_name="gateway",
            name="clusters",
            field=models.ManyToManyField(
                related_name="gateways",
                through="gateways.GatewayCluster",
                to="clusters.cluster",
                verbose_name="clusters",
            ),
        ),
        migrations.CreateModel(
            name="Listener",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                (
                    "name",
                    models.CharField(
                        max_length=63,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]([-a-z0-9]*[a-z0-9])?\\Z",
                                "Lowercase letters, digits and hyphens; starts and ends with a letter or digit.",
                            )
                        ],
                        verbose_name="name",
                    ),
                ),
                (
                    "port",
                    models.PositiveIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(65535),
                        ],
                        verbose_name="port",
                    ),
                ),
                (
                    "protocol",
                    models.CharField(
                        choices=[("HTTP", "HTTP"), ("HTTPS", "HTTPS")],
                        default="HTTP",
                        max_length=5,
                        verbose_name="protocol",
                    ),
                ),
                (
                    "gateway",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="listeners",
                        to="gateways.gateway",
                        verbose_name="gateway",
                    ),
                ),
            ],
            options={
                "verbose_name": "listener",
                "verbose_name_plural": "listeners",
                "ordering": ["port"],
            },
        ),
        migrations.AddConstraint(
            model_name="gatewaycluster",
            constraint=models.UniqueConstraint(fields=("gateway", "cluster"), name="gateway_cluster_once"),
        ),
        migrations.AddConstraint(
            model_name="gateway",
            constraint=models.UniqueConstraint(fields=("tenant", "name"), name="gateway_name_once"),
        ),
        migrations.AddConstraint(
            model_name="gateway",
            constraint=models.UniqueConstraint(fields=("id", "tenant"), name="gateway_id_tenant"),
        ),
        migrations.AddConstraint(
            model_name="listener",
            constraint=models.UniqueConstraint(fields=("gateway", "name"), name="listener_name_once"),
        ),
        migrations.AddConstraint(
            model_name="listener",
            constraint=models.UniqueConstraint(fields=("gateway", "port"), name="listener_port_once"),
        ),
    ]
