"""Secrets at rest: the only module that encrypts and decrypts secrets in database rows.

Knows no app and no model.

A ciphertext names its key, and is bound to table, row and column: it cannot be read in another place.
"""

import base64
import binascii
import os
from functools import cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

_FORMAT = "imp1"
_NONCE_BYTES = 12


class SecretLost(Exception):
    """A ciphertext that cannot be read: its key is missing, or it belongs to another place.

    Never quotes it.
    """


class CiphertextField(models.TextField[str, str]):
    """A column for ciphertexts; `rotate_secrets` finds the columns by this class."""


def encrypt(secret: str, *, table: str, row: UUID, column: str) -> str:
    """Encrypt a secret for exactly this place, with the first key of the ring."""
    name, key = next(iter(_ring().items()))
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, secret.encode(), _place(table, row, column))
    return f"{_FORMAT}.{name}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"


def decrypt(ciphertext: str, *, table: str, row: UUID, column: str) -> str:
    """Decrypt the ciphertext of exactly this place. Raises SecretLost."""
    form, name, text = (*ciphertext.split("."), "", "", "")[:3]
    key = _ring().get(name)
    if form != _FORMAT or key is None:
        is_ours = form == _FORMAT
        raise SecretLost(
            f"ENCRYPTION_KEYS has no key named {name!r}."
            if is_ours
            else "The stored value is not a ciphertext."
        )
    try:
        sealed = base64.urlsafe_b64decode(text)
        nonce, encrypted = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return AESGCM(key).decrypt(nonce, encrypted, _place(table, row, column)).decode()
    except (InvalidTag, binascii.Error, ValueError) as problem:
        raise SecretLost("The ciphertext belongs to another place, or it is damaged.") from problem


def is_current(ciphertext: str) -> bool:
    """Whether the first key of the ring made it."""
    return ciphertext.startswith(f"{_FORMAT}.{next(iter(_ring()))}.")


def _ring() -> dict[str, bytes]:
    return _parsed(tuple(settings.ENCRYPTION_KEYS))


@cache
def _parsed(entries: tuple[str, ...]) -> dict[str, bytes]:
    ring: dict[str, bytes] = {}
    for entry in entries:
        name, _, text = entry.partition(":")
        try:
            key = base64.urlsafe_b64decode(text)
        except (binascii.Error, ValueError):
            key = b""
        if not name.isalnum() or len(key) != 32 or name in ring:
            raise ImproperlyConfigured(
                "ENCRYPTION_KEYS must list name:key pairs: different names of letters and digits, keys of "
                "32 bytes in base64."
            )
        ring[name] = key
    if not ring:
        raise ImproperlyConfigured("ENCRYPTION_KEYS has no key.")
    return ring


def _place(table: str, row: UUID, column: str) -> bytes:
    return f"{table}/{row}/{column}".encode()
