"""Cluster: a place with agents; and the tenants that may use it."""

from typing import Self
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from clusters.models.agent import Agent
from clusters.rules import NAME, SUFFIX, public_networks, validate_network
from core.records import Record
from tenants.actors import Actor
from tenants.models import Tenant


class ClusterQuerySet(models.QuerySet["Cluster"]):
    """Queries of clusters. Tenants see the clusters that operators let them use."""

    def visible_to(self, actor: Actor) -> Self:
        """The clusters that the actor's tenant may use. Raises Forbidden for a role that may not read."""
        actor.require_read()
        return self.filter(open_to(actor.tenant_id))

    def with_status(self) -> Self:
        """Adds `status`, derived from agents and maintenance."""
        agents = Agent.objects.filter(cluster=models.OuterRef("pk"))
        return self.annotate(
            status=models.Case(
                models.When(maintenance=True, then=models.Value(Cluster.Status.MAINTENANCE)),
                models.When(models.Exists(agents.connected()), then=models.Value(Cluster.Status.ACTIVE)),
                models.When(
                    models.Exists(agents.filter(liveness__isnull=False)),
                    then=models.Value(Cluster.Status.INACTIVE),
                ),
                default=models.Value(Cluster.Status.PENDING),
                output_field=models.CharField(),
            )
        )


def open_to(tenant_id: UUID, prefix: str = "") -> models.ExpressionWrapper[models.Q]:
    """Whether a tenant may use a cluster.

    `prefix` leads from the filtered model to the cluster: "cluster__".
    """
    opened = ClusterTenant.objects.filter(cluster=models.OuterRef(f"{prefix}pk"), tenant=tenant_id)
    return models.ExpressionWrapper(
        models.Q(**{f"{prefix}open_to_all": True}) | models.Q(models.Exists(opened)),
        output_field=models.BooleanField(),
    )


class Cluster(Record):
    """A place with agents. It has no environment: one cluster may carry dev, stage and prod publishes."""

    class Status(models.TextChoices):
        """Derived by `with_status`: never connected; an agent is connected; none is; no new publishes."""

        PENDING = "pending", _("Pending")
        ACTIVE = "active", _("Active")
        INACTIVE = "inactive", _("Inactive")
        MAINTENANCE = "maintenance", _("Maintenance")

    name = models.CharField(_("name"), max_length=63, unique=True, validators=[NAME])
    description = models.CharField(_("description"), max_length=500, blank=True)
    region = models.CharField(_("region"), max_length=63, validators=[NAME])
    maintenance = models.BooleanField(
        _("maintenance"), default=False, help_text=_("New publishes are refused; what is live stays.")
    )
    host_suffixes = ArrayField(
        models.CharField(max_length=253, validators=[SUFFIX]),
        verbose_name=_("host suffixes"),
        help_text=_("Hostnames of publishes must end in one of these."),
    )
    upstream_networks = ArrayField(
        models.CharField(max_length=49, validators=[validate_network]),
        default=public_networks,
        verbose_name=_("upstream networks"),
        help_text=_(
            "Upstreams must resolve into these. 0.0.0.0/0 and ::/0 open public addresses only; name private "
            "networks, such as 10.0.0.0/8, to open them."
        ),
    )
    open_to_all = models.BooleanField(
        _("open to all workspaces"),
        default=False,
        help_text=_("Off: only the workspaces chosen here may use it."),
    )
    tenants = models.ManyToManyField(
        Tenant,
        through="ClusterTenant",
        related_name="clusters",
        verbose_name=_("workspaces that may use it"),
        blank=True,
    )

    objects = ClusterQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("cluster")
        verbose_name_plural = _("clusters")

    def __str__(self) -> str:
        return self.name


class ClusterTenant(Record):
    """Operators let a tenant use a cluster."""

    cluster = models.ForeignKey(
        Cluster, on_delete=models.CASCADE, related_name="openings", verbose_name=_("cluster")
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="openings", verbose_name=_("tenant")
    )

    class Meta:
        ordering = ["tenant__name"]
        constraints = [models.UniqueConstraint(fields=["cluster", "tenant"], name="cluster_tenant_once")]
        verbose_name = _("cluster's workspace")
        verbose_name_plural = _("clusters' workspaces")

    def __str__(self) -> str:
        return f"{self.cluster} · {self.tenant}"
