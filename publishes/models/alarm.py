"""Alarm: what an agent carries and this control plane does not know of."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from clusters.models import Agent
from core.records import Record
from publishes.choices import AlarmKind, Desired
from publishes.models.publish import ProductPublish


class Alarm(Record):
    """An agent carries something that this control plane does not know of.

    `publish_ref` is the id that the agent names; an alarm without it counts further publishes in `more`.
    `let_in` has the ids of the keys that the agent lets in at the generation `let_in_at`, which is null until
    the agent has named them.
    """

    kind = models.CharField(_("kind"), max_length=20, choices=AlarmKind)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="alarms", verbose_name=_("agent"))
    publish = models.ForeignKey(
        ProductPublish,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="alarms",
        verbose_name=_("publish"),
    )
    publish_ref = models.UUIDField(_("publish's id"), null=True, blank=True)
    more = models.PositiveIntegerField(_("how many more"), default=0)
    generation = models.PositiveBigIntegerField(_("generation"), default=0)
    state = models.CharField(_("state"), max_length=9, choices=Desired, blank=True)
    let_in = models.JSONField(default=list, blank=True, editable=False)
    let_in_at = models.PositiveBigIntegerField(null=True, blank=True, editable=False)
    take_off_at = models.DateTimeField(_("to be taken off since"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)
    closed_by = models.CharField(_("closed by"), max_length=150, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                "agent",
                "publish_ref",
                condition=models.Q(closed_at=None),
                nulls_distinct=False,
                name="alarm_open_once",
            )
        ]
        verbose_name = _("alarm")
        verbose_name_plural = _("alarms")

    def __str__(self) -> str:
        return f"{self.kind} {self.publish_ref or self.more}"
