"""Technical state, nothing of the domain: idempotency keys, rate windows, pulse, declared labels."""

import uuid

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class IdempotencyKey(models.Model):
    """An idempotency key of a tenant, with the answer once there is one.

    Written by `core.api.idempotency` alone.
    """

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
    """The requests that a token has reserved in one minute. Written by `core.api.limits` alone."""

    token_id = models.UUIDField()
    starts_at = models.DateTimeField(db_index=True)
    taken = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token_id", "starts_at"], name="rate_window_once")]
        verbose_name = _("rate window")
        verbose_name_plural = _("rate windows")

    def __str__(self) -> str:
        return f"{self.token_id} {self.starts_at}: {self.taken}"


class Pulse(models.Model):
    """When a background part last finished its work. Written by `core.pulse` alone."""

    name = models.CharField(_("part"), max_length=30, primary_key=True)
    beat_at = models.DateTimeField(_("last beat"), db_default=Now())

    class Meta:
        verbose_name = _("background part")
        verbose_name_plural = _("background parts")

    def __str__(self) -> str:
        return f"{self.name} {self.beat_at}"


class Label(models.Model):
    """The name of an object in the declared files of a namespace.

    Written by `publishes.declarations` alone.
    """

    tenant_id = models.UUIDField()
    namespace = models.CharField(_("namespace"), max_length=63)
    kind = models.CharField(_("kind"), max_length=20)
    name = models.CharField(_("name"), max_length=200)
    object_id = models.UUIDField(unique=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "namespace", "kind", "name"], name="label_once")
        ]
        verbose_name = _("label")
        verbose_name_plural = _("labels")

    def __str__(self) -> str:
        return f"{self.namespace}/{self.kind}/{self.name}"
