"""PublishEvent: one line of a publish's history."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.translation import gettext_lazy as _

from publishes.choices import EventKind, Status
from publishes.models.operation import Operation
from publishes.models.publish import ProductPublish
from tenants.models import User


class PublishEvent(models.Model):
    """One line of a publish's history; never changed."""

    publish = models.ForeignKey(
        ProductPublish, on_delete=models.CASCADE, related_name="events", verbose_name=_("publish")
    )
    operation = models.ForeignKey(
        Operation,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="events",
        verbose_name=_("operation"),
    )
    kind = models.CharField(_("kind"), max_length=20, choices=EventKind)
    from_status = models.CharField(_("from"), max_length=9, choices=Status, blank=True)
    to_status = models.CharField(_("to"), max_length=9, choices=Status, blank=True)
    actor_label = models.CharField(_("by"), max_length=150, blank=True)
    actor_user = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("user")
    )
    note = models.TextField(_("note"), blank=True)
    evidence = models.JSONField(_("evidence"), default=dict, blank=True, encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(_("time"), auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["publish", "-created_at"], name="event_history")]
        verbose_name = _("event")
        verbose_name_plural = _("events")

    def __str__(self) -> str:
        return f"{self.kind} {self.created_at}"
