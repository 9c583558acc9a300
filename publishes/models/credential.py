"""Credential: a key that a publish lets in."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.records import Record
from core.security.secrets import CiphertextField
from publishes.choices import KeyState
from publishes.models.publish import ProductPublish


class Credential(Record):
    """A key that a publish in api-key mode lets in, and the consumer whose name upstreams read.

    The key is encrypted for this row.
    """

    publish = models.ForeignKey(
        ProductPublish, on_delete=models.CASCADE, related_name="credentials", verbose_name=_("publish")
    )
    consumer = models.CharField(_("consumer"), max_length=100)
    is_test = models.BooleanField(_("test key"), default=False)
    secret = CiphertextField(editable=False)
    fingerprint = models.CharField(_("fingerprint"), max_length=32)
    state = models.CharField(_("state"), max_length=7, choices=KeyState, default=KeyState.ACTIVE)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [models.UniqueConstraint(fields=["publish", "fingerprint"], name="credential_once")]
        indexes = [
            models.Index(
                fields=["expires_at"],
                condition=models.Q(state=KeyState.ACTIVE, expires_at__isnull=False),
                name="credential_ending",
            )
        ]
        verbose_name = _("key")
        verbose_name_plural = _("keys")

    def __str__(self) -> str:
        return f"{self.consumer} · {self.fingerprint[:8]}"
