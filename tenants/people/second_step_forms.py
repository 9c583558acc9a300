"""Forms for a code of the second step."""

from typing import Any

from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms as library
from django.conf import settings
from django.core.cache import cache


class _OneTimeCode:
    """A code works once: it is refused for as long as it is valid (the library alone forgets the tolerance).

    The code is the only field of the page, so it has the focus.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs["autofocus"] = True  # type: ignore[attr-defined]

    def clean_code(self) -> str:
        code: str = super().clean_code()  # type: ignore[misc]
        accepted_s = settings.MFA_TOTP_PERIOD * (1 + 2 * settings.MFA_TOTP_TOLERANCE)
        used_key = f"second-step-code-taken:{self.user.pk}:{normalize_user_code(code)}"  # type: ignore[attr-defined]
        if not cache.add(used_key, 1, timeout=accepted_s):
            raise get_adapter().validation_error("incorrect_code")
        return code


class AuthenticateForm(_OneTimeCode, library.AuthenticateForm):  # type: ignore[misc]
    """The form of the sign-in."""


class ReauthenticateForm(_OneTimeCode, library.ReauthenticateForm):  # type: ignore[misc]
    """The form before a sensitive change."""
