"""AgentEvent: one line of an agent's history."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from clusters.models.agent import Agent
from clusters.models.cluster import Cluster


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
