"""Issuer: whom oauth2 publishes believe. Read as `publishes.models.Issuer`."""

from django.db import models
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from core.records import Record


class Issuer(Record):
    """What an issuer of tokens last published: its public keys. When it cannot be reached the old ones stay, and `failing_since` says since when."""

    url = models.CharField(_("issuer URL"), max_length=500, unique=True)
    jwks = models.JSONField(_("public keys"), default=list)
    fetched_at = models.DateTimeField(_("fetched"), null=True, blank=True)
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True)
    reason = models.JSONField(_("reason"), default=dict, blank=True)

    class Meta:
        ordering = ["url"]
        verbose_name = _("issuer")
        verbose_name_plural = _("issuers")

    def __str__(self) -> str:
        return self.url

    @property
    def reason_shown(self) -> str:
        """Why it gives no keys now, in the reader's language: stored in each, because words with numbers in them cannot be translated afterwards."""
        return str(self.reason.get(get_language() or "", ""))
