"""Clusters, the tenants that may use them, agents with their keys and codes."""

import uuid

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.fields.json
from django.db import migrations, models

import clusters.rules


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Agent",
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
                    "driver",
                    models.CharField(blank=True, editable=False, max_length=20, verbose_name="driver"),
                ),
                (
                    "url",
                    models.URLField(
                        blank=True,
                        editable=False,
                        help_text="Empty: this agent works by pull alone.",
                        verbose_name="inbound URL",
                    ),
                ),
                ("blocked_at", models.DateTimeField(blank=True, null=True, verbose_name="blocked")),
                (
                    "key_asked_at",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="new key requested"
                    ),
                ),
            ],
            options={
                "verbose_name": "agent",
                "verbose_name_plural": "agents",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Cluster",
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
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]([-a-z0-9]*[a-z0-9])?\\Z",
                                "Lowercase letters, digits and hyphens; starts and ends with a letter or digit.",
                            )
                        ],
                        verbose_name="name",
                    ),
                ),
                ("description", models.CharField(blank=True, max_length=500, verbose_name="description")),
                (
                    "region",
                    models.CharField(
                        max_length=63,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]([-a-z0-9]*[a-z0-9])?\\Z",
                                "Lowercase letters, digits and hyphens; starts and ends with a letter or digit.",
                            )
                        ],
                        verbose_name="region",
                    ),
                ),
                (
                    "maintenance",
                    models.BooleanField(
                        default=False,
                        help_text="New publishes are refused; what is live stays.",
                        verbose_name="maintenance",
                    ),
                ),
                (
                    "host_suffixes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            max_length=253,
                            validators=[
                                django.core.validators.RegexValidator(
                                    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\\Z",
                                    "A DNS suffix such as api.example.com, without a leading dot.",
                                )
                            ],
                        ),
                        help_text="Hostnames of publishes must end in one of these.",
                        size=None,
                        verbose_name="host suffixes",
                    ),
                ),
                (
                    "upstream_networks",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            max_length=49, validators=[clusters.rules.validate_network]
                        ),
                        default=clusters.rules.public_networks,
                        help_text="Upstreams must resolve into these. 0.0.0.0/0 and ::/0 open public addresses only; name private networks, such as 10.0.0.0/8, to open them.",
                        size=None,
                        verbose_name="upstream networks",
                    ),
                ),
                (
                    "open_to_all",
                    models.BooleanField(
                        default=False,
                        help_text="Off: only the workspaces chosen here may use it.",
                        verbose_name="open to all workspaces",
                    ),
                ),
            ],
            options={
                "verbose_name": "cluster",
                "verbose_name_plural": "clusters",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="UsedRequest",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False, verbose_name="request id")),
                ("expires_at", models.DateTimeField(db_index=True, verbose_name="expires")),
            ],
            options={
                "verbose_name": "used request id",
                "verbose_name_plural": "used request ids",
            },
        ),
        migrations.CreateModel(
            name="AgentLiveness",
            fields=[
                (
                    "agent",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="liveness",
                        serialize=False,
                        to="clusters.agent",
                        verbose_name="agent",
                    ),
                ),
                ("last_seen_at", models.DateTimeField(verbose_name="last seen")),
                ("gateway_ok", models.BooleanField(default=False, verbose_name="gateway answers")),
                ("gateway_error", models.CharField(blank=True, max_length=500, verbose_name="gateway error")),
                (
                    "gateway_version",
                    models.CharField(blank=True, max_length=100, verbose_name="gateway version"),
                ),
                ("gateway_mode", models.CharField(blank=True, max_length=50, verbose_name="gateway mode")),
                ("agent_version", models.CharField(blank=True, max_length=50, verbose_name="agent version")),
                ("proxy_url", models.CharField(blank=True, max_length=200, verbose_name="proxy URL")),
                (
                    "reserved",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=300),
                        default=list,
                        size=None,
                        verbose_name="reserved endpoints",
                    ),
                ),
                ("protocol", models.PositiveSmallIntegerField(default=1, verbose_name="protocol")),
                (
                    "pinned",
                    models.CharField(
                        blank=True,
                        editable=False,
                        help_text="The control plane's keys that the agent trusts.",
                        max_length=64,
                    ),
                ),
                ("was_there", models.BooleanField(default=False, editable=False)),
                ("gateway_was_ok", models.BooleanField(default=True, editable=False)),
            ],
            options={
                "verbose_name": "agent's liveness",
                "verbose_name_plural": "agents' liveness",
            },
        ),
        migrations.AddField(
            model_name="agent",
            name="cluster",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="agents",
                to="clusters.cluster",
                verbose_name="cluster",
            ),
        ),
        migrations.CreateModel(
            name="ClusterTenant",
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
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="openings",
                        to="clusters.cluster",
                        verbose_name="cluster",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="openings",
                        to="tenants.tenant",
                        verbose_name="tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "cluster's workspace",
                "verbose_name_plural": "clusters' workspaces",
                "ordering": ["tenant__name"],
            },
        ),
        migrations.AddField(
            model_name="cluster",
            name="tenants",
            field=models.ManyToManyField(
                blank=True,
                related_name="clusters",
                through="clusters.ClusterTenant",
                to="tenants.tenant",
                verbose_name="workspaces that may use it",
            ),
        ),
        migrations.CreateModel(
            name="EnrolmentCode",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                ("secret_hash", models.CharField(editable=False, max_length=64, unique=True)),
                ("expires_at", models.DateTimeField(verbose_name="expires")),
                ("consumed_at", models.DateTimeField(blank=True, null=True, verbose_name="used")),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="codes",
                        to="clusters.agent",
                        verbose_name="agent",
                    ),
                ),
            ],
            options={
                "verbose_name": "enrolment code",
                "verbose_name_plural": "enrolment codes",
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="AgentKey",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                ("public_jwk", models.JSONField(verbose_name="public key")),
                ("used_at", models.DateTimeField(blank=True, null=True, verbose_name="first used")),
                ("revoked_at", models.DateTimeField(blank=True, null=True, verbose_name="revoked")),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="keys",
                        to="clusters.agent",
                        verbose_name="agent",
                    ),
                ),
            ],
            options={
                "verbose_name": "agent's key",
                "verbose_name_plural": "agents' keys",
                "ordering": ["-created_at"],
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.fields.json.KeyTextTransform("x", "public_jwk"),
                        condition=models.Q(("revoked_at", None)),
                        name="agent_key_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AgentEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("agent_name", models.CharField(max_length=63, verbose_name="agent")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("added", "Added"),
                            ("code_made", "Enrolment code made"),
                            ("enrolled", "Enrolled"),
                            ("connected", "Connected"),
                            ("disconnected", "Disconnected"),
                            ("gateway_up", "Its gateway answers"),
                            ("gateway_down", "Its gateway does not answer"),
                            ("blocked", "Blocked"),
                            ("unblocked", "Unblocked"),
                            ("key_asked", "New key requested"),
                            ("key_changed", "New key"),
                            ("key_revoked", "Key revoked"),
                            ("refused", "Refused"),
                            ("removed", "Removed"),
                        ],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                ("message", models.TextField(blank=True, verbose_name="message")),
                ("by", models.CharField(blank=True, max_length=150, verbose_name="by")),
                ("created_at", models.DateTimeField(auto_now_add=True, db_index=True, verbose_name="time")),
                (
                    "agent",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="events",
                        to="clusters.agent",
                        verbose_name="agent",
                    ),
                ),
                (
                    "cluster",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="agent_events",
                        to="clusters.cluster",
                        verbose_name="cluster",
                    ),
                ),
            ],
            options={
                "verbose_name": "agent's event",
                "verbose_name_plural": "agents' events",
                "ordering": ["-created_at", "-id"],
                "indexes": [models.Index(fields=["cluster", "-created_at"], name="agent_event_history")],
            },
        ),
        migrations.AddConstraint(
            model_name="agent",
            constraint=models.UniqueConstraint(fields=("cluster", "name"), name="agent_name_once"),
        ),
        migrations.AddConstraint(
            model_name="clustertenant",
            constraint=models.UniqueConstraint(fields=("cluster", "tenant"), name="cluster_tenant_once"),
        ),
    ]
