"""Gateway (a template, not a running program), its listeners, and its clusters."""

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from clusters.models import Cluster
from core.records import Edited, Record
from tenants.models import ScopedQuerySet, Tenant

label = RegexValidator(
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z",
    _("Lowercase letters, digits and hyphens; starts and ends with a letter or digit."),
)


class Gateway(Edited):
    """A provider's gateway template. Agents whose driver has the name of its class can serve it."""

    class Class(models.TextChoices):
        ENVOY = "envoy", "Envoy"
        KONG = "kong", "Kong"

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        INACTIVE = "inactive", _("Inactive")

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="gateways", verbose_name=_("tenant")
    )
    name = models.CharField(_("name"), max_length=63, validators=[label])
    gateway_class = models.CharField(_("class"), max_length=20, choices=Class, default=Class.ENVOY)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.ACTIVE)
    clusters = models.ManyToManyField(
        Cluster, through="GatewayCluster", related_name="gateways", verbose_name=_("clusters")
    )

    objects = ScopedQuerySet["Gateway"].as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="gateway_name_once"),
            models.UniqueConstraint(fields=["id", "tenant"], name="gateway_id_tenant"),
        ]
        verbose_name = _("gateway")
        verbose_name_plural = _("gateways")

    def __str__(self) -> str:
        return self.name


class Listener(Record):
    """A port of a gateway."""

    class Protocol(models.TextChoices):
        HTTP = "HTTP", "HTTP"
        HTTPS = "HTTPS", "HTTPS"

    gateway = models.ForeignKey(
        Gateway, on_delete=models.CASCADE, related_name="listeners", verbose_name=_("gateway")
    )
    name = models.CharField(_("name"), max_length=63, validators=[label])
    port = models.PositiveIntegerField(_("port"), validators=[MinValueValidator(1), MaxValueValidator(65535)])
    protocol = models.CharField(_("protocol"), max_length=5, choices=Protocol, default=Protocol.HTTP)

    class Meta:
        ordering = ["port"]
        constraints = [
            models.UniqueConstraint(fields=["gateway", "name"], name="listener_name_once"),
            models.UniqueConstraint(fields=["gateway", "port"], name="listener_port_once"),
        ]
        verbose_name = _("listener")
        verbose_name_plural = _("listeners")

    def __str__(self) -> str:
        return f"{self.port} ({self.protocol})"

    @property
    def shown(self) -> str:
        """`443/HTTPS`, for lists."""
        return f"{self.port}/{self.protocol}"


class GatewayCluster(Record):
    """A gateway's place in a cluster. Publishes refer to it, so a used place cannot be removed."""

    gateway = models.ForeignKey(
        Gateway, on_delete=models.CASCADE, related_name="places", verbose_name=_("gateway")
    )
    cluster = models.ForeignKey(
        Cluster, on_delete=models.PROTECT, related_name="places", verbose_name=_("cluster")
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["gateway", "cluster"], name="gateway_cluster_once")]
        verbose_name = _("gateway's cluster")
        verbose_name_plural = _("gateway's clusters")

    def __str__(self) -> str:
        return f"{self.gateway} · {self.cluster}"
