"""Publishes and what happens to them; the database itself refuses a publish of another tenant's product or gateway, or on a gateway that does not stand in the cluster."""

import uuid

import django.core.serializers.json
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import core.security.secrets

FORWARD = """
ALTER TABLE publishes_productpublish
    ADD CONSTRAINT publish_product_tenant FOREIGN KEY (product_id, tenant_id) REFERENCES products_product (id, tenant_id) DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT publish_gateway_tenant FOREIGN KEY (gateway_id, tenant_id) REFERENCES gateways_gateway (id, tenant_id) DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT publish_gateway_cluster FOREIGN KEY (gateway_id, cluster_id) REFERENCES gateways_gatewaycluster (gateway_id, cluster_id) DEFERRABLE INITIALLY DEFERRED;
"""
BACK = """
ALTER TABLE publishes_productpublish
    DROP CONSTRAINT publish_product_tenant, DROP CONSTRAINT publish_gateway_tenant, DROP CONSTRAINT publish_gateway_cluster;
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("clusters", "0001_initial"),
        ("gateways", "0001_initial"),
        ("products", "0001_initial"),
        ("tenants", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="AgentLease",
            fields=[
                (
                    "agent",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="lease",
                        serialize=False,
                        to="clusters.agent",
                        verbose_name="agent",
                    ),
                ),
                ("token", models.UUIDField(null=True, verbose_name="holder's token")),
                (
                    "until",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="until"
                    ),
                ),
            ],
            options={
                "verbose_name": "lease",
                "verbose_name_plural": "leases",
            },
        ),
        migrations.CreateModel(
            name="Issuer",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                ("url", models.CharField(max_length=500, unique=True, verbose_name="issuer URL")),
                ("jwks", models.JSONField(default=list, verbose_name="public keys")),
                ("fetched_at", models.DateTimeField(blank=True, null=True, verbose_name="fetched")),
                ("failing_since", models.DateTimeField(blank=True, null=True, verbose_name="failing since")),
                ("reason", models.JSONField(blank=True, default=dict, verbose_name="reason")),
            ],
            options={
                "verbose_name": "issuer",
                "verbose_name_plural": "issuers",
                "ordering": ["url"],
            },
        ),
        migrations.CreateModel(
            name="ProductPublish",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                ("revision", models.PositiveIntegerField(default=1, editable=False)),
                (
                    "environment",
                    models.CharField(
                        choices=[("dev", "Development"), ("stage", "Staging"), ("prod", "Production")],
                        default="dev",
                        max_length=5,
                        verbose_name="environment",
                    ),
                ),
                (
                    "auth_mode",
                    models.CharField(
                        choices=[("none", "None"), ("api-key", "API Key"), ("oauth2", "OAuth 2.0")],
                        default="none",
                        max_length=7,
                        verbose_name="auth mode",
                    ),
                ),
                ("auth_config", models.JSONField(blank=True, default=dict, verbose_name="auth settings")),
                (
                    "visibility",
                    models.CharField(
                        choices=[("public", "Public"), ("private", "Private")],
                        default="public",
                        max_length=7,
                        verbose_name="visibility",
                    ),
                ),
                ("approval_required", models.BooleanField(default=True, verbose_name="approval required")),
                ("hostname_base", models.CharField(max_length=253, verbose_name="hostname")),
                (
                    "status",
                    models.CharField(
                        choices=[("DRAFT", "DRAFT"), ("PUBLISHED", "PUBLISHED"), ("WITHDRAWN", "WITHDRAWN")],
                        default="DRAFT",
                        max_length=9,
                        verbose_name="status",
                    ),
                ),
                ("published_at", models.DateTimeField(blank=True, null=True, verbose_name="published")),
                ("published_by", models.CharField(blank=True, max_length=150, verbose_name="published by")),
                ("withdrawn_at", models.DateTimeField(blank=True, null=True, verbose_name="withdrawn")),
                ("withdrawn_by", models.CharField(blank=True, max_length=150, verbose_name="withdrawn by")),
                ("generation", models.PositiveBigIntegerField(default=0, verbose_name="generation")),
                (
                    "desired_state",
                    models.CharField(
                        blank=True,
                        choices=[("live", "Live"), ("withdrawn", "Withdrawn"), ("absent", "Absent")],
                        max_length=9,
                        verbose_name="desired state",
                    ),
                ),
                (
                    "desired_digest",
                    models.CharField(blank=True, max_length=64, verbose_name="desired digest"),
                ),
                (
                    "claimed_host",
                    models.CharField(blank=True, max_length=253, null=True, verbose_name="claimed host"),
                ),
                ("deleted_at", models.DateTimeField(blank=True, null=True, verbose_name="deleted")),
                ("frozen_at", models.DateTimeField(blank=True, null=True, verbose_name="frozen")),
                ("run_key", models.UUIDField(blank=True, editable=False, null=True, unique=True)),
                (
                    "sync_wanted",
                    models.BooleanField(
                        default=False,
                        editable=False,
                        help_text="Callers' credentials changed, and that is still to go out.",
                    ),
                ),
                (
                    "cluster",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="publishes",
                        to="clusters.cluster",
                        verbose_name="cluster",
                    ),
                ),
                (
                    "gateway",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="publishes",
                        to="gateways.gateway",
                        verbose_name="gateway",
                    ),
                ),
                (
                    "product",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="publishes",
                        to="products.product",
                        verbose_name="product",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="publishes",
                        to="tenants.tenant",
                        verbose_name="tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "publish",
                "verbose_name_plural": "publishes",
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="Operation",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("publish", "Publish"),
                            ("withdraw", "Withdraw"),
                            ("delete", "Delete"),
                            ("sync", "Sync"),
                            ("revert", "Going back"),
                            ("heal", "Bringing in step"),
                        ],
                        max_length=8,
                        verbose_name="kind",
                    ),
                ),
                (
                    "phase",
                    models.CharField(
                        choices=[
                            ("QUEUED", "Waiting"),
                            ("SENT", "Sent"),
                            ("SUCCEEDED", "Done"),
                            ("FAILED", "Failed"),
                            ("CANCELLED", "Cancelled"),
                            ("SUPERSEDED", "Superseded"),
                        ],
                        default="QUEUED",
                        max_length=10,
                        verbose_name="phase",
                    ),
                ),
                ("generation", models.PositiveBigIntegerField(verbose_name="generation")),
                (
                    "spec",
                    models.JSONField(
                        encoder=django.core.serializers.json.DjangoJSONEncoder, verbose_name="spec"
                    ),
                ),
                ("digest", models.CharField(max_length=64, verbose_name="digest")),
                ("actor_label", models.CharField(blank=True, max_length=150, verbose_name="by")),
                ("note", models.CharField(blank=True, max_length=500, verbose_name="note")),
                ("error_code", models.CharField(blank=True, max_length=50, verbose_name="error code")),
                ("error", models.TextField(blank=True, verbose_name="error")),
                ("deadline_at", models.DateTimeField(verbose_name="deadline")),
                ("finished_at", models.DateTimeField(blank=True, null=True, verbose_name="finished")),
                ("took_ms", models.PositiveIntegerField(blank=True, null=True, verbose_name="took (ms)")),
                (
                    "actor_user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                (
                    "publish",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="operations",
                        to="publishes.productpublish",
                        verbose_name="publish",
                    ),
                ),
            ],
            options={
                "verbose_name": "operation",
                "verbose_name_plural": "operations",
                "ordering": ["-generation"],
            },
        ),
        migrations.CreateModel(
            name="Observation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("generation", models.PositiveBigIntegerField(verbose_name="generation")),
                ("digest", models.CharField(max_length=64, verbose_name="digest")),
                (
                    "state",
                    models.CharField(
                        choices=[("live", "Live"), ("withdrawn", "Withdrawn"), ("absent", "Absent")],
                        max_length=9,
                        verbose_name="state",
                    ),
                ),
                ("verified", models.BooleanField(verbose_name="verified")),
                ("observed_at", models.DateTimeField(verbose_name="observed")),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="observations",
                        to="clusters.agent",
                        verbose_name="agent",
                    ),
                ),
                (
                    "publish",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="observations",
                        to="publishes.productpublish",
                        verbose_name="publish",
                    ),
                ),
            ],
            options={
                "verbose_name": "observation",
                "verbose_name_plural": "observations",
            },
        ),
        migrations.CreateModel(
            name="Credential",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                ("consumer", models.CharField(max_length=100, verbose_name="consumer")),
                ("is_test", models.BooleanField(default=False, verbose_name="test key")),
                ("secret", core.security.secrets.CiphertextField(editable=False)),
                ("fingerprint", models.CharField(max_length=32, verbose_name="fingerprint")),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "Active"), ("off", "Switched off"), ("expired", "Expired")],
                        default="active",
                        max_length=7,
                        verbose_name="state",
                    ),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True, verbose_name="expires")),
                (
                    "publish",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="credentials",
                        to="publishes.productpublish",
                        verbose_name="publish",
                    ),
                ),
            ],
            options={
                "verbose_name": "key",
                "verbose_name_plural": "keys",
                "ordering": ["created_at"],
            },
        ),
        migrations.CreateModel(
            name="Alarm",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("generation_ahead", "An agent is ahead of us"),
                            ("unknown_publish", "Unknown publish"),
                            ("more_unknown", "More unknown publishes"),
                        ],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                ("publish_ref", models.UUIDField(blank=True, null=True, verbose_name="publish's id")),
                ("more", models.PositiveIntegerField(default=0, verbose_name="how many more")),
                ("generation", models.PositiveBigIntegerField(default=0, verbose_name="generation")),
                (
                    "state",
                    models.CharField(
                        blank=True,
                        choices=[("live", "Live"), ("withdrawn", "Withdrawn"), ("absent", "Absent")],
                        max_length=9,
                        verbose_name="state",
                    ),
                ),
                ("let_in", models.JSONField(blank=True, default=list, editable=False)),
                ("let_in_at", models.PositiveBigIntegerField(blank=True, editable=False, null=True)),
                (
                    "take_off_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="to be taken off since"),
                ),
                ("closed_at", models.DateTimeField(blank=True, null=True, verbose_name="closed")),
                ("closed_by", models.CharField(blank=True, max_length=150, verbose_name="closed by")),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alarms",
                        to="clusters.agent",
                        verbose_name="agent",
                    ),
                ),
                (
                    "publish",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alarms",
                        to="publishes.productpublish",
                        verbose_name="publish",
                    ),
                ),
            ],
            options={
                "verbose_name": "alarm",
                "verbose_name_plural": "alarms",
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="PublishEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("created", "Created"),
                            ("updated", "Settings changed"),
                            ("publish_requested", "Publish requested"),
                            ("withdraw_requested", "Withdrawal requested"),
                            ("delete_requested", "Deletion requested"),
                            ("published", "Published"),
                            ("withdrawn", "Withdrawn"),
                            ("deleted", "Deleted"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                            ("going_back", "Going back to what stood before"),
                            ("went_back", "Back to what stood before"),
                            ("frozen", "Frozen: an agent is ahead of us"),
                            ("adopted", "Adopted by an operator"),
                            ("in_step", "All agents in step again"),
                            ("key_made", "Test key made"),
                            ("key_rotated", "Test key replaced"),
                            ("key_off", "Key switched off"),
                            ("key_expired", "Key expired"),
                            ("issuer_changed", "The issuer changed its keys"),
                            ("sync_requested", "Bringing it to the gateways"),
                            ("synced", "In force on the gateways"),
                        ],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                (
                    "from_status",
                    models.CharField(
                        blank=True,
                        choices=[("DRAFT", "DRAFT"), ("PUBLISHED", "PUBLISHED"), ("WITHDRAWN", "WITHDRAWN")],
                        max_length=9,
                        verbose_name="from",
                    ),
                ),
                (
                    "to_status",
                    models.CharField(
                        blank=True,
                        choices=[("DRAFT", "DRAFT"), ("PUBLISHED", "PUBLISHED"), ("WITHDRAWN", "WITHDRAWN")],
                        max_length=9,
                        verbose_name="to",
                    ),
                ),
                ("actor_label", models.CharField(blank=True, max_length=150, verbose_name="by")),
                ("note", models.TextField(blank=True, verbose_name="note")),
                (
                    "evidence",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                        verbose_name="evidence",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="time")),
                (
                    "actor_user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                (
                    "operation",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="publishes.operation",
                        verbose_name="operation",
                    ),
                ),
                (
                    "publish",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="publishes.productpublish",
                        verbose_name="publish",
                    ),
                ),
            ],
            options={
                "verbose_name": "event",
                "verbose_name_plural": "events",
                "ordering": ["-created_at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                (
                    "phase",
                    models.CharField(
                        choices=[
                            ("QUEUED", "Waiting"),
                            ("SENT", "Sent"),
                            ("SUCCEEDED", "Done"),
                            ("FAILED", "Failed"),
                            ("CANCELLED", "Cancelled"),
                            ("SUPERSEDED", "Superseded"),
                        ],
                        default="QUEUED",
                        max_length=10,
                        verbose_name="phase",
                    ),
                ),
                ("attempt", models.PositiveIntegerField(default=0, verbose_name="attempt")),
                (
                    "token",
                    models.UUIDField(blank=True, editable=False, null=True, verbose_name="attempt's token"),
                ),
                (
                    "due_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="due"
                    ),
                ),
                ("step", models.CharField(blank=True, max_length=50, verbose_name="step")),
                ("code", models.CharField(blank=True, max_length=50, verbose_name="code")),
                ("message", models.TextField(blank=True, verbose_name="the agent's words")),
                ("entity", models.CharField(blank=True, max_length=200, verbose_name="entity")),
                ("field", models.CharField(blank=True, max_length=200, verbose_name="field")),
                ("evidence", models.JSONField(blank=True, default=dict, verbose_name="evidence")),
                ("finished_at", models.DateTimeField(blank=True, null=True, verbose_name="finished")),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="clusters.agent",
                        verbose_name="agent",
                    ),
                ),
                (
                    "operation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="publishes.operation",
                        verbose_name="operation",
                    ),
                ),
            ],
            options={
                "verbose_name": "delivery",
                "verbose_name_plural": "deliveries",
                "ordering": ["agent__name"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("phase__in", ("QUEUED", "SENT"))),
                        fields=["agent", "due_at"],
                        name="delivery_due",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("phase__in", ("QUEUED", "SENT")), models.Q(("code", "agent_gone"), _negated=True)
                        ),
                        fields=["agent"],
                        name="delivery_unexplained",
                    ),
                ],
                "constraints": [models.UniqueConstraint(fields=("operation", "agent"), name="delivery_once")],
            },
        ),
        migrations.AddIndex(
            model_name="productpublish",
            index=models.Index(
                condition=models.Q(("deleted_at", None)),
                fields=["tenant", "-created_at"],
                name="publish_list",
            ),
        ),
        migrations.AddIndex(
            model_name="productpublish",
            index=models.Index(
                condition=models.Q(("claimed_host__isnull", False), ("desired_state", "absent")),
                fields=["cluster"],
                name="publish_host_to_release",
            ),
        ),
        migrations.AddIndex(
            model_name="productpublish",
            index=models.Index(
                condition=models.Q(("sync_wanted", True)), fields=["id"], name="publish_sync_wanted"
            ),
        ),
        migrations.AddConstraint(
            model_name="productpublish",
            constraint=models.UniqueConstraint(fields=("cluster", "claimed_host"), name="publish_host_once"),
        ),
        migrations.AddConstraint(
            model_name="productpublish",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["DRAFT", "PUBLISHED", "WITHDRAWN"])), name="publish_status"
            ),
        ),
        migrations.AddConstraint(
            model_name="productpublish",
            constraint=models.CheckConstraint(
                condition=models.Q(("environment__in", ["dev", "stage", "prod"])), name="publish_environment"
            ),
        ),
        migrations.AddConstraint(
            model_name="productpublish",
            constraint=models.CheckConstraint(
                condition=models.Q(("auth_mode__in", ["none", "api-key", "oauth2"])), name="publish_auth_mode"
            ),
        ),
        migrations.AddConstraint(
            model_name="productpublish",
            constraint=models.CheckConstraint(
                condition=models.Q(("visibility__in", ["public", "private"])), name="publish_visibility"
            ),
        ),
        migrations.AddConstraint(
            model_name="productpublish",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "PUBLISHED"), _negated=True),
                    models.Q(
                        ("claimed_host__isnull", False), ("deleted_at", None), ("published_at__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="publish_published_is_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="productpublish",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("desired_state", ""), ("generation", 0)),
                    models.Q(("desired_state__in", ["live", "withdrawn", "absent"]), ("generation__gt", 0)),
                    _connector="OR",
                ),
                name="publish_desired_since_first",
            ),
        ),
        migrations.AddIndex(
            model_name="operation",
            index=models.Index(
                condition=models.Q(("phase__in", ("QUEUED", "SENT"))),
                fields=["deadline_at"],
                name="operation_open",
            ),
        ),
        migrations.AddIndex(
            model_name="operation",
            index=models.Index(
                condition=models.Q(("kind__in", ("publish", "withdraw", "delete")), ("phase", "FAILED")),
                fields=["publish"],
                name="operation_failed",
            ),
        ),
        migrations.AddConstraint(
            model_name="operation",
            constraint=models.UniqueConstraint(
                fields=("publish", "generation"), name="operation_generation_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="operation",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("kind__in", ("publish", "withdraw", "delete")), ("phase__in", ("QUEUED", "SENT"))
                ),
                fields=("publish",),
                name="operation_one_of_people_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="operation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("phase__in", ("QUEUED", "SENT")), ("finished_at__isnull", False), _connector="OR"
                ),
                name="operation_closed_has_end",
            ),
        ),
        migrations.AddIndex(
            model_name="observation",
            index=models.Index(
                condition=models.Q(("state", "absent"), _negated=True),
                fields=["agent", "publish"],
                name="observation_present",
            ),
        ),
        migrations.AddConstraint(
            model_name="observation",
            constraint=models.UniqueConstraint(fields=("agent", "publish"), name="observation_once"),
        ),
        migrations.AddIndex(
            model_name="credential",
            index=models.Index(
                condition=models.Q(("expires_at__isnull", False), ("state", "active")),
                fields=["expires_at"],
                name="credential_ending",
            ),
        ),
        migrations.AddConstraint(
            model_name="credential",
            constraint=models.UniqueConstraint(fields=("publish", "fingerprint"), name="credential_once"),
        ),
        migrations.AddConstraint(
            model_name="alarm",
            constraint=models.UniqueConstraint(
                models.F("agent"),
                models.F("publish_ref"),
                condition=models.Q(("closed_at", None)),
                name="alarm_open_once",
                nulls_distinct=False,
            ),
        ),
        migrations.AddIndex(
            model_name="publishevent",
            index=models.Index(fields=["publish", "-created_at"], name="event_history"),
        ),
        migrations.RunSQL(FORWARD, BACK),
    ]
