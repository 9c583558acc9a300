"""The rules of an API token, the same for pages and API."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.problems import Invalid
from tenants.actors import Role

LONGEST = timedelta(days=3650)


class ApiTokenForm(forms.Form):
    """Name, role and expiry (empty: never) of an API token."""

    name = forms.CharField(max_length=100, label=_("Name"))
    role = forms.ChoiceField(choices=Role, label=_("Role"))
    expires_at = forms.DateTimeField(required=False, label=_("Expires"), help_text=_("Empty: never."))

    def clean_expires_at(self) -> datetime | None:
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at is not None and not timezone.now() < expires_at < timezone.now() + LONGEST:
            raise forms.ValidationError(_("Choose a time in the future, ten years ahead at most."))
        return expires_at

    def checked(self) -> dict[str, Any]:
        """The checked values. Raises Invalid with a reason per field."""
        if not self.is_valid():
            raise Invalid(fields={name: [str(text) for text in texts] for name, texts in self.errors.items()})
        return {**self.cleaned_data, "role": Role(self.cleaned_data["role"])}
