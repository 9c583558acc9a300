"""Observation: what one agent last said it carries."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from clusters.models import Agent
from publishes.choices import Desired
from publishes.models.publish import ProductPublish


class Observation(models.Model):
    """What one agent last said it carries of one publish."""

    agent = models.ForeignKey(
        Agent, on_delete=models.CASCADE, related_name="observations", verbose_name=_("agent")
    )
    publish = models.ForeignKey(
        ProductPublish, on_delete=models.CASCADE, related_name="observations", verbose_name=_("publish")
    )
    generation = models.PositiveBigIntegerField(_("generation"))
    digest = models.CharField(_("digest"), max_length=64)
    state = models.CharField(_("state"), max_length=9, choices=Desired)
    verified = models.BooleanField(_("verified"))
    observed_at = models.DateTimeField(_("observed"))

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "publish"], name="observation_once")]
        indexes = [
            models.Index(
                fields=["agent", "publish"],
                condition=~models.Q(state=Desired.ABSENT),
                name="observation_present",
            )
        ]
        verbose_name = _("observation")
        verbose_name_plural = _("observations")

    def __str__(self) -> str:
        return f"{self.agent_id} · {self.publish_id} · {self.generation}"
