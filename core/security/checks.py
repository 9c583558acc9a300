"""System checks for unsafe settings, run by `manage.py check`."""

from typing import Any

from django.conf import settings
from django.core.checks import Error

KEY_LENGTH, KEY_CHARACTERS = 32, 10


def check_secret_key(**_options: Any) -> list[Error]:
    """SECRET_KEY must be strong: with it, anybody can sign sessions and links."""
    key = str(settings.SECRET_KEY)
    if len(key) >= KEY_LENGTH and len(set(key)) >= KEY_CHARACTERS:
        return []
    hint = "python -c 'import secrets; print(secrets.token_urlsafe(48))' makes one."
    return [
        Error(
            f"SECRET_KEY is too weak: {KEY_LENGTH} characters at least, {KEY_CHARACTERS} different ones.",
            hint=hint,
            id="core.E001",
        )
    ]


def check_debug(**_options: Any) -> list[Error]:
    """DEBUG must be off in production: debug pages show settings and code."""
    if not settings.DEBUG or not settings.SESSION_COOKIE_SECURE:
        return []
    return [
        Error(
            "DEBUG is on in production (INSECURE_COOKIES is off).",
            hint="Take DEBUG out of the environment.",
            id="core.E002",
        )
    ]
