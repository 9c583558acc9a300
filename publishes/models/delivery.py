"""Delivery: an operation for one agent; and the lease on an agent."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from clusters.models import Agent
from core.records import Record
from publishes.choices import OPEN_PHASES, Phase
from publishes.models.operation import Operation


class Delivery(Record):
    """An operation for one agent.

    It may stay open after its operation closed, until the agent has confirmed or an operation supersedes it.
    """

    operation = models.ForeignKey(
        Operation, on_delete=models.CASCADE, related_name="deliveries", verbose_name=_("operation")
    )
    agent = models.ForeignKey(
        Agent, on_delete=models.CASCADE, related_name="deliveries", verbose_name=_("agent")
    )
    phase = models.CharField(_("phase"), max_length=10, choices=Phase, default=Phase.QUEUED)
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    token = models.UUIDField(_("attempt's token"), null=True, blank=True, editable=False)
    due_at = models.DateTimeField(_("due"), db_default=Now())
    step = models.CharField(_("step"), max_length=50, blank=True)
    code = models.CharField(_("code"), max_length=50, blank=True)
    message = models.TextField(_("the agent's words"), blank=True)
    entity = models.CharField(_("entity"), max_length=200, blank=True)
    field = models.CharField(_("field"), max_length=200, blank=True)
    evidence = models.JSONField(_("evidence"), default=dict, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        ordering = ["agent__name"]
        constraints = [models.UniqueConstraint(fields=["operation", "agent"], name="delivery_once")]
        indexes = [
            models.Index(
                fields=["agent", "due_at"], condition=models.Q(phase__in=OPEN_PHASES), name="delivery_due"
            ),
            models.Index(
                fields=["agent"],
                condition=models.Q(phase__in=OPEN_PHASES) & ~models.Q(code="agent_gone"),
                name="delivery_unexplained",
            ),
        ]
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")

    def __str__(self) -> str:
        return f"{self.operation_id} · {self.agent_id} · {self.phase}"

    @property
    def is_open(self) -> bool:
        """Whether the agent's answer is still awaited."""
        return self.phase in OPEN_PHASES


class AgentLease(models.Model):
    """The right to push to one agent, until a time by the database's clock.

    So one agent that hangs occupies one worker thread at most.
    """

    agent = models.OneToOneField(
        Agent, on_delete=models.CASCADE, primary_key=True, related_name="lease", verbose_name=_("agent")
    )
    token = models.UUIDField(_("holder's token"), null=True)
    until = models.DateTimeField(_("until"), db_default=Now())

    class Meta:
        verbose_name = _("lease")
        verbose_name_plural = _("leases")

    def __str__(self) -> str:
        return f"{self.agent_id} {self.until}"
