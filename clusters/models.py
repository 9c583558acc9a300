"""Cluster, Agent with its keys and codes, and its liveness (its own table: it changes at every heartbeat)."""

from datetime import timedelta
from typing import Self
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

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


def connected(prefix: str = "") -> models.ExpressionWrapper[models.Q]:
    """Whether an agent is not blocked and sent a heartbeat within three intervals, by the database's clock.

    `prefix` leads from the annotated model to the agent: "agent__".
    """
    return models.ExpressionWrapper(_heard_of(prefix), output_field=models.BooleanField())


def counting(prefix: str = "") -> models.ExpressionWrapper[models.Q]:
    """Whether a publish waits for the agent: it is connected, and its gateway's admin side answers."""
    return models.ExpressionWrapper(
        _heard_of(prefix) & models.Q(**{f"{prefix}liveness__gateway_ok": True}),
        output_field=models.BooleanField(),
    )


def _heard_of(prefix: str) -> models.Q:
    since = Now() - timedelta(seconds=settings.MISSED_HEARTBEATS * settings.HEARTBEAT_S)
    return models.Q(**{f"{prefix}blocked_at": None, f"{prefix}liveness__last_seen_at__gte": since})


class AgentQuerySet(models.QuerySet["Agent"]):
    """Queries of agents."""

    def enrolled(self) -> Self:
        """Agents that may get work: enrolled and not blocked."""
        return self.filter(blocked_at=None).exclude(driver="")

    def connected(self) -> Self:
        """Agents that are not blocked and sent a heartbeat within three intervals."""
        return self.filter(_heard_of(""))

    def with_status(self) -> Self:
        """Adds `status`."""
        return self.annotate(
            status=models.Case(
                models.When(blocked_at__isnull=False, then=models.Value(Agent.Status.BLOCKED)),
                models.When(_heard_of(""), then=models.Value(Agent.Status.CONNECTED)),
                models.When(liveness__isnull=False, then=models.Value(Agent.Status.DISCONNECTED)),
                default=models.Value(Agent.Status.PENDING),
                output_field=models.CharField(),
            )
        )


class Agent(Record):
    """The program beside one gateway of one cluster. Until its code is used it has no driver."""

    class Status(models.TextChoices):
        """Derived by `with_status`: never connected; connected; silent; blocked by an operator."""

        PENDING = "pending", _("Pending")
        CONNECTED = "connected", _("Connected")
        DISCONNECTED = "disconnected", _("Disconnected")
        BLOCKED = "blocked", _("Blocked")

    cluster = models.ForeignKey(
        Cluster, on_delete=models.CASCADE, related_name="agents", verbose_name=_("cluster")
    )
    name = models.CharField(_("name"), max_length=63, validators=[NAME])
    driver = models.CharField(_("driver"), max_length=20, blank=True, editable=False)
    url = models.URLField(
        _("inbound URL"), blank=True, editable=False, help_text=_("Empty: this agent works by pull alone.")
    )
    blocked_at = models.DateTimeField(_("blocked"), null=True, blank=True)
    key_asked_at = models.DateTimeField(_("new key requested"), null=True, blank=True, editable=False)

    objects = AgentQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["cluster", "name"], name="agent_name_once")]
        verbose_name = _("agent")
        verbose_name_plural = _("agents")

    def __str__(self) -> str:
        return self.name


class AgentLiveness(models.Model):
    """The last heartbeat. No index on `last_seen_at`: every heartbeat would write it."""

    agent = models.OneToOneField(
        Agent, on_delete=models.CASCADE, primary_key=True, related_name="liveness", verbose_name=_("agent")
    )
    last_seen_at = models.DateTimeField(_("last seen"))
    gateway_ok = models.BooleanField(_("gateway answers"), default=False)
    gateway_error = models.CharField(_("gateway error"), max_length=500, blank=True)
    gateway_version = models.CharField(_("gateway version"), max_length=100, blank=True)
    gateway_mode = models.CharField(_("gateway mode"), max_length=50, blank=True)
    agent_version = models.CharField(_("agent version"), max_length=50, blank=True)
    proxy_url = models.CharField(_("proxy URL"), max_length=200, blank=True)
    reserved = ArrayField(
        models.CharField(max_length=300), default=list, verbose_name=_("reserved endpoints")
    )
    protocol = models.PositiveSmallIntegerField(_("protocol"), default=1)
    pinned = models.CharField(
        max_length=64,
        blank=True,
        editable=False,
        help_text=_("The control plane's keys that the agent trusts."),
    )
    was_there = models.BooleanField(default=False, editable=False)
    gateway_was_ok = models.BooleanField(default=True, editable=False)

    class Meta:
        verbose_name = _("agent's liveness")
        verbose_name_plural = _("agents' liveness")

    def __str__(self) -> str:
        return f"{self.agent_id} {self.last_seen_at}"


class AgentEvent(models.Model):
    """A line of an agent's history, for operators. It never changes, and stays when the agent is removed."""

    class Kind(models.TextChoices):
        ADDED = "added", _("Added")
        CODE_MADE = "code_made", _("Enrolment code made")
        ENROLLED = "enrolled", _("Enrolled")
        CONNECTED = "connected", _("Connected")
        DISCONNECTED = "disconnected", _("Disconnected")
        GATEWAY_UP = "gateway_up", _("Its gateway answers")
        GATEWAY_DOWN = "gateway_down", _("Its gateway does not answer")
        BLOCKED = "blocked", _("Blocked")
        UNBLOCKED = "unblocked", _("Unblocked")
        KEY_ASKED = "key_asked", _("New key requested")
        KEY_CHANGED = "key_changed", _("New key")
        KEY_REVOKED = "key_revoked", _("Key revoked")
        REFUSED = "refused", _("Refused")
        REMOVED = "removed", _("Removed")

    cluster = models.ForeignKey(
        Cluster, on_delete=models.CASCADE, related_name="agent_events", verbose_name=_("cluster")
    )
    agent = models.ForeignKey(
        Agent, on_delete=models.SET_NULL, null=True, related_name="events", verbose_name=_("agent")
    )
    agent_name = models.CharField(_("agent"), max_length=63)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    message = models.TextField(_("message"), blank=True)
    by = models.CharField(_("by"), max_length=150, blank=True)
    created_at = models.DateTimeField(_("time"), auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["cluster", "-created_at"], name="agent_event_history")]
        verbose_name = _("agent's event")
        verbose_name_plural = _("agents' events")

    def __str__(self) -> str:
        return f"{self.agent_name} {self.kind}"


class AgentKeyQuerySet(models.QuerySet["AgentKey"]):
    """Queries of keys."""

    def live(self) -> Self:
        """Keys that are accepted now.

        A replaced key is accepted a little longer, for its messages in flight.
        """
        return self.filter(models.Q(revoked_at=None) | models.Q(revoked_at__gt=Now()))


class AgentKey(Record):
    """The public half of a key that an agent signs with. The first use of a newer one ends the older ones."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="keys", verbose_name=_("agent"))
    public_jwk = models.JSONField(_("public key"))
    used_at = models.DateTimeField(_("first used"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    objects = AgentKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                KeyTextTransform("x", "public_jwk"),
                condition=models.Q(revoked_at=None),
                name="agent_key_once",
            )
        ]
        verbose_name = _("agent's key")
        verbose_name_plural = _("agents' keys")

    def __str__(self) -> str:
        return f"{self.agent_id} {self.created_at:%Y-%m-%d}"


class EnrolmentCode(Record):
    """A one-time code that lets a program become this agent. Only the hash of its secret is stored."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="codes", verbose_name=_("agent"))
    secret_hash = models.CharField(max_length=64, unique=True, editable=False)
    expires_at = models.DateTimeField(_("expires"))
    consumed_at = models.DateTimeField(_("used"), null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("enrolment code")
        verbose_name_plural = _("enrolment codes")

    def __str__(self) -> str:
        return f"{self.agent_id} {self.expires_at:%Y-%m-%d %H:%M}"


class UsedRequest(models.Model):
    """The id of an accepted signed request, so that a replay is refused. The sweep deletes expired ids."""

    id = models.UUIDField(_("request id"), primary_key=True)
    expires_at = models.DateTimeField(_("expires"), db_index=True)

    class Meta:
        verbose_name = _("used request id")
        verbose_name_plural = _("used request ids")

    def __str__(self) -> str:
        return str(self.id)
