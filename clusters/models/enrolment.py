"""EnrolmentCode: lets a program become an agent, once."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from clusters.models.agent import Agent
from core.records import Record


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
