"""What the doors remember between two requests: answers by idempotency key, and how many requests a token has used. Nothing of the domain."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _


class IdempotencyKey(models.Model):
    """A request that a tenant marked as its own, and the answer it got once there was one. Written by `core.idempotency` alone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant_id = models.UUIDField()
    key = models.CharField(_("key"), max_length=255)
    fingerprint = models.CharField(max_length=64)
    claim = models.UUIDField()
    claimed_at = models.DateTimeField()
    expires_at = models.DateTimeField(_("expires"), db_index=True)
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    body = models.TextField(blank=True)
    headers = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant_id", "key"], name="idempotency_key_once")]
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")

    def __str__(self) -> str:
        return self.key


class RateWindow(models.Model):
    """How many requests of one minute a token has taken. Written by `core.limits` alone."""

    token_id = models.UUIDField()
    starts_at = models.DateTimeField(db_index=True)
    taken = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token_id", "starts_at"], name="rate_window_once")]
        verbose_name = _("rate window")
        verbose_name_plural = _("rate windows")

    def __str__(self) -> str:
        return f"{self.token_id} {self.starts_at}: {self.taken}"
