"""Product, ApiService and Route.

A product has no environment and no auth mode: those belong to its publishes.
"""

import re

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.records import Edited, Record
from tenants.models import ScopedQuerySet, Tenant

_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._~!$&'()*+,;=:@-]*")
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")


def validate_path(path: str) -> None:
    """A route's path: absolute, no empty or dot segments, plain characters, not below /.well-known/imp."""
    if not path.startswith("/") or (path != "/" and path.endswith("/")):
        raise ValidationError(_("A path starts with /, and does not end with /."), code="path")
    if path != "/" and any(segment in {"", ".", ".."} for segment in path.split("/")[1:]):
        raise ValidationError(_("A path has no empty, . or .. segment."), code="path")
    if not _PLAIN_PATH.fullmatch(path):
        raise ValidationError(_("A path has letters, digits and plain URL characters only."), code="path")
    if path == "/.well-known/imp" or path.startswith("/.well-known/imp/"):
        raise ValidationError(_("/.well-known/imp is reserved for the proof of live."), code="path")


def validate_methods(methods: list[str]) -> None:
    """Known HTTP methods, each once."""
    if unknown := sorted(set(methods) - set(METHODS)):
        raise ValidationError(
            _("Unknown method: %(methods)s."), code="methods", params={"methods": ", ".join(unknown)}
        )
    if len(methods) != len(set(methods)):
        raise ValidationError(_("Duplicate method."), code="methods")


class ApiService(Edited):
    """An upstream of a provider, with the routes to it. Only active services are deployed."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        INACTIVE = "inactive", _("Inactive")

    class Scheme(models.TextChoices):
        HTTP = "http", "http"
        HTTPS = "https", "https"

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="api_services", verbose_name=_("tenant")
    )
    name = models.CharField(_("name"), max_length=100)
    version = models.CharField(_("version"), max_length=50, blank=True)
    description = models.CharField(_("description"), max_length=500, blank=True)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.INACTIVE)
    upstream_scheme = models.CharField(_("scheme"), max_length=5, choices=Scheme, default=Scheme.HTTP)
    upstream_host = models.CharField(
        _("upstream host"), max_length=253, validators=[RegexValidator(r"^[A-Za-z0-9.:-]+\Z")]
    )
    upstream_port = models.PositiveIntegerField(
        _("upstream port"), default=80, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    upstream_path = models.CharField(_("upstream path"), max_length=200, blank=True)
    connect_timeout_ms = models.PositiveIntegerField(_("connect timeout (ms)"), default=5_000)
    timeout_ms = models.PositiveIntegerField(_("timeout (ms)"), default=60_000)

    objects = ScopedQuerySet["ApiService"].as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="api_service_name_once"),
            models.UniqueConstraint(fields=["id", "tenant"], name="api_service_id_tenant"),
            models.CheckConstraint(
                condition=models.Q(upstream_port__range=(1, 65535)), name="api_service_port"
            ),
        ]
        verbose_name = _("API service")
        verbose_name_plural = _("API services")

    def __str__(self) -> str:
        return self.name

    @property
    def upstream(self) -> str:
        """`host:port/path`, for lists."""
        return f"{self.upstream_host}:{self.upstream_port}{self.upstream_path}"


class Route(Record):
    """A path of a service; it matches the path and everything below it."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        INACTIVE = "inactive", _("Inactive")

    service = models.ForeignKey(
        ApiService, on_delete=models.CASCADE, related_name="routes", verbose_name=_("API service")
    )
    path = models.CharField(_("path"), max_length=500, validators=[validate_path])
    methods = ArrayField(
        models.CharField(max_length=7),
        default=list,
        blank=True,
        validators=[validate_methods],
        verbose_name=_("methods"),
    )
    strip_path = models.BooleanField(_("strip path"), default=False)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.ACTIVE)
    position = models.PositiveIntegerField(_("position"), default=0)

    class Meta:
        ordering = ["position", "path"]
        verbose_name = _("route")
        verbose_name_plural = _("routes")

    def __str__(self) -> str:
        return f"{self.path} {', '.join(self.methods)}".strip()


class Product(Edited):
    """What a provider sells: a name, a version, and API services."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        ACTIVE = "active", _("Active")
        ARCHIVED = "archived", _("Archived")

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="products", verbose_name=_("tenant")
    )
    name = models.CharField(_("name"), max_length=100)
    version = models.CharField(_("version"), max_length=50)
    description = models.TextField(_("description"), blank=True)
    categories = ArrayField(
        models.CharField(max_length=50), default=list, blank=True, verbose_name=_("categories")
    )
    docs_url = models.URLField(_("documentation URL"), blank=True)
    logo_url = models.URLField(_("logo URL"), blank=True)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.DRAFT)
    services = models.ManyToManyField(
        ApiService, through="ProductService", related_name="products", verbose_name=_("API services")
    )

    objects = ScopedQuerySet["Product"].as_manager()

    class Meta:
        ordering = ["name", "version"]
        constraints = [models.UniqueConstraint(fields=["id", "tenant"], name="product_id_tenant")]
        verbose_name = _("product")
        verbose_name_plural = _("products")

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class ProductService(Record):
    """A service in a product. With the tenant's id the database refuses links across tenants."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", verbose_name=_("tenant"))
    product = models.ForeignKey(
        Product, on_delete=models.CASCADE, related_name="links", verbose_name=_("product")
    )
    service = models.ForeignKey(
        ApiService, on_delete=models.CASCADE, related_name="links", verbose_name=_("API service")
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["product", "service"], name="product_service_once")]
        verbose_name = _("product's service")
        verbose_name_plural = _("product's services")

    def __str__(self) -> str:
        return f"{self.product} · {self.service}"

    def clean(self) -> None:
        if {self.product.tenant_id, self.service.tenant_id} != {self.tenant_id}:
            raise ValidationError(_("Product and service must belong to the same tenant."), code="tenant")
