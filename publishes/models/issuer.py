"""Issuer: whom oauth2 publishes believe. Read as `publishes.models.Issuer`."""

from django.db import models
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from core.records import Record


class Issuer(Record):
    """An issuer of tokens, and the public keys that it last published.

    While the issuer cannot be reached, its last keys stay, and `failing_since` says since when.
    """

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
        """Why the issuer gives no keys now, in the reader's language.

        Stored in each language, because a text with numbers in it cannot be translated afterwards.
        """
        return str(self.reason.get(get_language() or "", ""))
