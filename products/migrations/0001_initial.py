"""What is sold; the database itself refuses a product's link to another tenant's service."""

import uuid

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import products.models

FORWARD = """
ALTER TABLE products_productservice
    ADD CONSTRAINT product_service_product_tenant FOREIGN KEY (product_id, tenant_id) REFERENCES products_product (id, tenant_id) DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT product_service_service_tenant FOREIGN KEY (service_id, tenant_id) REFERENCES products_apiservice (id, tenant_id) DEFERRABLE INITIALLY DEFERRED;
"""
BACK = """
ALTER TABLE products_productservice DROP CONSTRAINT product_service_product_tenant, DROP CONSTRAINT product_service_service_tenant;
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiService",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                ("revision", models.PositiveIntegerField(default=1, editable=False)),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                ("version", models.CharField(blank=True, max_length=50, verbose_name="version")),
                ("description", models.CharField(blank=True, max_length=500, verbose_name="description")),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("inactive", "Inactive")],
                        default="inactive",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                (
                    "upstream_scheme",
                    models.CharField(
                        choices=[("http", "http"), ("https", "https")],
                        default="http",
                        max_length=5,
                        verbose_name="scheme",
                    ),
                ),
                (
                    "upstream_host",
                    models.CharField(
                        max_length=253,
                        validators=[django.core.validators.RegexValidator("^[A-Za-z0-9.:-]+\\Z")],
                        verbose_name="upstream host",
                    ),
                ),
                (
                    "upstream_port",
                    models.PositiveIntegerField(
                        default=80,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(65535),
                        ],
                        verbose_name="upstream port",
                    ),
                ),
                ("upstream_path", models.CharField(blank=True, max_length=200, verbose_name="upstream path")),
                (
                    "connect_timeout_ms",
                    models.PositiveIntegerField(default=5000, verbose_name="connect timeout (ms)"),
                ),
                ("timeout_ms", models.PositiveIntegerField(default=60000, verbose_name="timeout (ms)")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="api_services",
                        to="tenants.tenant",
                        verbose_name="tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "API service",
                "verbose_name_plural": "API services",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Product",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                ("revision", models.PositiveIntegerField(default=1, editable=False)),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                ("version", models.CharField(max_length=50, verbose_name="version")),
                ("description", models.TextField(blank=True, verbose_name="description")),
                (
                    "categories",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=50),
                        blank=True,
                        default=list,
                        size=None,
                        verbose_name="categories",
                    ),
                ),
                ("docs_url", models.URLField(blank=True, verbose_name="documentation URL")),
                ("logo_url", models.URLField(blank=True, verbose_name="logo URL")),
                (
                    "status",
                    models.CharField(
                        choices=[("draft", "Draft"), ("active", "Active"), ("archived", "Archived")],
                        default="draft",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="products",
                        to="tenants.tenant",
                        verbose_name="tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "product",
                "verbose_name_plural": "products",
                "ordering": ["name", "version"],
            },
        ),
        migrations.CreateModel(
            name="ProductService",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                (
                    "product",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="links",
                        to="products.product",
                        verbose_name="product",
                    ),
                ),
                (
                    "service",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="links",
                        to="products.apiservice",
                        verbose_name="API service",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.tenant",
                        verbose_name="tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "product's service",
                "verbose_name_plural": "product's services",
            },
        ),
        migrations.AddField(
            model_name="product",
            name="services",
            field=models.ManyToManyField(
                related_name="products",
                through="products.ProductService",
                to="products.apiservice",
                verbose_name="API services",
            ),
        ),
        migrations.CreateModel(
            name="Route",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="changed at")),
                (
                    "path",
                    models.CharField(
                        max_length=500, validators=[products.models.validate_path], verbose_name="path"
                    ),
                ),
                (
                    "methods",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=7),
                        blank=True,
                        default=list,
                        size=None,
                        validators=[products.models.validate_methods],
                        verbose_name="methods",
                    ),
                ),
                ("strip_path", models.BooleanField(default=False, verbose_name="strip path")),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("inactive", "Inactive")],
                        default="active",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("position", models.PositiveIntegerField(default=0, verbose_name="position")),
                (
                    "service",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="routes",
                        to="products.apiservice",
                        verbose_name="API service",
                    ),
                ),
            ],
            options={
                "verbose_name": "route",
                "verbose_name_plural": "routes",
                "ordering": ["position", "path"],
            },
        ),
        migrations.AddConstraint(
            model_name="apiservice",
            constraint=models.UniqueConstraint(fields=("tenant", "name"), name="api_service_name_once"),
        ),
        migrations.AddConstraint(
            model_name="apiservice",
            constraint=models.UniqueConstraint(fields=("id", "tenant"), name="api_service_id_tenant"),
        ),
        migrations.AddConstraint(
            model_name="apiservice",
            constraint=models.CheckConstraint(
                condition=models.Q(("upstream_port__range", (1, 65535))), name="api_service_port"
            ),
        ),
        migrations.AddConstraint(
            model_name="productservice",
            constraint=models.UniqueConstraint(fields=("product", "service"), name="product_service_once"),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.UniqueConstraint(fields=("id", "tenant"), name="product_id_tenant"),
        ),
        migrations.RunSQL(FORWARD, BACK),
    ]
