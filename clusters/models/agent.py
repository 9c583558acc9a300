"""Agent: the program beside one gateway; and what its last heartbeat said."""

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from clusters.rules import NAME
from core.records import Record


def connected(prefix: str = "") -> models.ExpressionWrapper[models.Q]:
    """Whether an agent is not blocked and sent a heartbeat within three intervals, by the database's clock.

    `prefix` leads from the annotated model to the agent: "agent__".
    """
    return models.ExpressionWrapper(_has_recent_heartbeat(prefix), output_field=models.BooleanField())


def counting(prefix: str = "") -> models.ExpressionWrapper[models.Q]:
    """Whether a publish waits for the agent: it is connected, and its gateway's admin side answers."""
    return models.ExpressionWrapper(
        _has_recent_heartbeat(prefix) & models.Q(**{f"{prefix}liveness__gateway_ok": True}),
        output_field=models.BooleanField(),
    )


def _has_recent_heartbeat(prefix: str) -> models.Q:
    since = Now() - timedelta(seconds=settings.MISSED_HEARTBEATS * settings.HEARTBEAT_S)
    return models.Q(**{f"{prefix}blocked_at": None, f"{prefix}liveness__last_seen_at__gte": since})


class AgentQuerySet(models.QuerySet["Agent"]):
    """Queries of agents."""

    def enrolled(self) -> Self:
        """Agents that may get work: enrolled and not blocked."""
        return self.filter(blocked_at=None).exclude(driver="")

    def connected(self) -> Self:
        """Agents that are not blocked and sent a heartbeat within three intervals."""
        return self.filter(_has_recent_heartbeat(""))

    def with_status(self) -> Self:
        """Adds `status`."""
        return self.annotate(
            status=models.Case(
                models.When(blocked_at__isnull=False, then=models.Value(Agent.Status.BLOCKED)),
                models.When(_has_recent_heartbeat(""), then=models.Value(Agent.Status.CONNECTED)),
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
        "clusters.Cluster", on_delete=models.CASCADE, related_name="agents", verbose_name=_("cluster")
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
