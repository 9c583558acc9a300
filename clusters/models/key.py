"""AgentKey: the public half of a key that an agent signs with; and the requests that were accepted once."""

from typing import Self

from django.db import models
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from clusters.models.agent import Agent
from core.records import Record


class AgentKeyQuerySet(models.QuerySet["AgentKey"]):
    """Queries of keys."""

    def accepted(self) -> Self:
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


class UsedRequest(models.Model):
    """The id of an accepted signed request, so that a replay is refused. The sweep deletes expired ids."""

    id = models.UUIDField(_("request id"), primary_key=True)
    expires_at = models.DateTimeField(_("expires"), db_index=True)

    class Meta:
        verbose_name = _("used request id")
        verbose_name_plural = _("used request ids")

    def __str__(self) -> str:
        return str(self.id)
