"""Operation: one run of a verb on one publish."""

from typing import Self

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.records import Record
from publishes.choices import OPEN_PHASES, PEOPLES_KINDS, Kind, Phase
from publishes.models.publish import ProductPublish
from tenants.actors import Actor
from tenants.models import User


class OperationQuerySet(models.QuerySet["Operation"]):
    """An operation is visible with its publish, also when that is deleted."""

    def visible_to(self, actor: Actor) -> Self:
        """Only those of the actor's tenant. Raises Forbidden for a role that sees nothing here."""
        actor.require_read()
        return self.filter(publish__tenant_id=actor.tenant_id)


class Operation(Record):
    """One run of a verb on one publish. It owns one generation and keeps that generation's spec.

    Of secrets, the spec has ids and fingerprints only.
    """

    publish = models.ForeignKey(
        ProductPublish, on_delete=models.CASCADE, related_name="operations", verbose_name=_("publish")
    )
    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    phase = models.CharField(_("phase"), max_length=10, choices=Phase, default=Phase.QUEUED)
    generation = models.PositiveBigIntegerField(_("generation"))
    spec = models.JSONField(_("spec"), encoder=DjangoJSONEncoder)
    digest = models.CharField(_("digest"), max_length=64)
    actor_label = models.CharField(_("by"), max_length=150, blank=True)
    actor_user = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("user")
    )
    note = models.CharField(_("note"), max_length=500, blank=True)
    error_code = models.CharField(_("error code"), max_length=50, blank=True)
    error = models.TextField(_("error"), blank=True)
    deadline_at = models.DateTimeField(_("deadline"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    took_ms = models.PositiveIntegerField(_("took (ms)"), null=True, blank=True)

    objects = OperationQuerySet.as_manager()

    class Meta:
        ordering = ["-generation"]
        constraints = [
            models.UniqueConstraint(fields=["publish", "generation"], name="operation_generation_once"),
            models.UniqueConstraint(
                fields=["publish"],
                condition=models.Q(kind__in=PEOPLES_KINDS, phase__in=OPEN_PHASES),
                name="operation_one_of_people_open",
            ),
            models.CheckConstraint(
                condition=models.Q(phase__in=OPEN_PHASES) | models.Q(finished_at__isnull=False),
                name="operation_closed_has_end",
            ),
        ]
        indexes = [
            models.Index(
                fields=["deadline_at"], condition=models.Q(phase__in=OPEN_PHASES), name="operation_open"
            ),
            models.Index(
                fields=["publish"],
                condition=models.Q(phase=Phase.FAILED, kind__in=PEOPLES_KINDS),
                name="operation_failed",
            ),
        ]
        verbose_name = _("operation")
        verbose_name_plural = _("operations")

    def __str__(self) -> str:
        return f"{self.kind} {self.generation} · {self.phase}"

    @property
    def is_open(self) -> bool:
        """Whether the operation is still going on."""
        return self.phase in OPEN_PHASES
