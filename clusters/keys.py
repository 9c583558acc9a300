"""The control plane's signing keys, read once from SIGNING_KEY_FILE. No private key is in the database."""

import json
from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from agent.protocol.signing import Key, SignatureRefused, import_key, key_id, key_set, public_jwk


@cache
def signing_keys() -> tuple[Key, ...]:
    """All keys of the file (a JWK, or {"keys": [...]}). The first key signs; agents pin all public halves."""
    try:
        content = json.loads(settings.SIGNING_KEY_FILE.read_text())
        keys = tuple(import_key(jwk) for jwk in content.get("keys", [content]))
    except (OSError, ValueError, AttributeError, SignatureRefused) as problem:
        raise ImproperlyConfigured(
            f"SIGNING_KEY_FILE must hold an Ed25519 private key as a JWK: {problem}"
        ) from problem
    if not keys:
        raise ImproperlyConfigured("SIGNING_KEY_FILE has no key.")
    return keys


def signing_key() -> Key:
    """The key that signs."""
    return signing_keys()[0]


def fingerprint() -> str:
    """The signing key's thumbprint, as in enrolment codes."""
    return key_id(signing_key())


def current_set() -> str:
    """The name of the key set, as an agent that pins exactly these keys reports it."""
    return key_set(signing_keys())


def pinned_keys() -> tuple[dict[str, str], ...]:
    """The public halves that agents pin."""
    return tuple(public_jwk(key) for key in signing_keys())
