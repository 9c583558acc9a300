"""Signatures of both directions: sealed messages (JWS), and the proof of an agent's request (the DPoP shape).

Both sides sign with Ed25519 (RFC 9864 `alg: Ed25519`). A seal names its purpose in the `typ` header, so that
no message can pass for another kind. An answer names the message that it answers, so that an old answer
cannot be replayed.
"""

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

Key = OKPKey

ALGORITHM = "Ed25519"
CONTROL_PLANE = "control-plane"
"""The control plane's name as issuer and audience; agents go by their id."""

SIZE_LIMIT = 32 * 1024 * 1024
"""Bytes of a sealed message at most: far above one spec with 10,000 keys (some 4 MB).

Senders cut what is larger into pieces.
"""

SKEW_S = 60
"""Clock difference that is tolerated between the two sides, in seconds."""

LIFETIME_S = 30
"""How long a seal or a proof is good for, in seconds (the skew comes on top)."""

_TIME_MAX = 2**40
"""Seconds since 1970: no clock says more, and all arithmetic with less is exact."""


class _Registry(JWSRegistry):
    # The library's own limit is 128 kB, which a batch of a few hundred specs is beyond.
    max_payload_length = SIZE_LIMIT


_REGISTRY = _Registry(algorithms=[ALGORITHM])


class SignatureRefused(Exception):
    """A message that must not be believed; the text says why, without quoting the message."""


class ClockRefused(SignatureRefused):
    """The signature is right, but the two clocks differ too much, or the message is old."""


class Purpose(StrEnum):
    """The kind of a sealed message; stands in its `typ` header."""

    COMMAND = "imp-command+jwt"
    ANSWER = "imp-answer+jwt"
    REQUEST = "imp-request+jwt"
    NEW_KEY = "imp-new-key+jwt"


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """A signed message and the id (`jti`) that its answer has to name."""

    token: str
    id: str


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A message whose signature, audience and time were right. `key` is the id of the key that signed it."""

    issuer: str
    id: str
    key: str
    expires_at: int
    body: str


def new_key() -> Key:
    """A fresh Ed25519 key pair."""
    return OKPKey.generate_key("Ed25519")


def private_jwk(key: Key) -> dict[str, str]:
    """The whole key as a JWK, to be stored under mode 0600."""
    return {name: str(value) for name, value in key.as_dict(private=True).items()}


def public_jwk(key: Key) -> dict[str, str]:
    """The public half as a JWK: kty, crv and x alone."""
    return {name: str(key.as_dict(private=False)[name]) for name in ("kty", "crv", "x")}


def import_key(jwk: dict[str, str]) -> Key:
    """A key from its JWK, private or public. Raises SignatureRefused when it is no Ed25519 key."""
    try:
        if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
            raise SignatureRefused("The key is not an Ed25519 key (kty OKP, crv Ed25519).")
        key = OKPKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "d") if name in jwk})
        key.thumbprint()
    except (JoseError, ValueError, KeyError, TypeError) as problem:
        raise SignatureRefused("The key cannot be read as a JWK.") from problem
    return key


def key_id(key: Key) -> str:
    """The RFC 7638 thumbprint: a key's name and its fingerprint."""
    return key.thumbprint()


def key_set(keys: Iterable[Key]) -> str:
    """One text for a set of keys, the same in any order of the keys."""
    return hashlib.sha256("\n".join(sorted(key_id(key) for key in keys)).encode()).hexdigest()


def seal(
    key: Key,
    body: str,
    *,
    purpose: Purpose,
    issuer: str,
    audience: str,
    answers: str = "",
    now: float | None = None,
) -> Sealed:
    """Sign a JSON text for one audience. `answers` is the id of the message that this one answers."""
    issued_at = int(time.time() if now is None else now)
    message_id = str(uuid.uuid4())
    claims = {
        "iss": issuer,
        "aud": audience,
        "iat": issued_at,
        "exp": issued_at + LIFETIME_S,
        "jti": message_id,
        "irt": answers,
        "body": body,
    }
    return Sealed(token=_sign(key, purpose, claims), id=message_id)


def unseal(
    token: str,
    keys: Iterable[Key],
    *,
    purpose: Purpose,
    audience: str,
    issuer: str = "",
    answers: str = "",
    now: float | None = None,
) -> Opened:
    """Check a sealed message and return its content. Raises SignatureRefused with the reason."""
    claims, signed_with = _verify(token, keys, purpose, now=now)
    if claims.get("aud") != audience:
        raise SignatureRefused("The message is meant for somebody else.")
    if issuer and claims.get("iss") != issuer:
        raise SignatureRefused("The message comes from somebody else.")
    if claims.get("irt") != answers:
        raise SignatureRefused("The message answers another request.")
    return Opened(
        issuer=str(claims["iss"]),
        id=str(claims["jti"]),
        key=signed_with,
        expires_at=int(str(claims["exp"])),
        body=str(claims["body"]),
    )


def prove_request(
    key: Key, *, agent_id: str, method: str, url: str, body: bytes, now: float | None = None
) -> Sealed:
    """The proof of one request of an agent (`Authorization: Imp <token>`), bound to method, URL and body."""
    issued_at = int(time.time() if now is None else now)
    request_id = str(uuid.uuid4())
    claims = {
        "iss": agent_id,
        "htm": method,
        "htu": url,
        "bsh": _body_hash(body),
        "iat": issued_at,
        "exp": issued_at + LIFETIME_S,
        "jti": request_id,
        "body": "",
    }
    return Sealed(token=_sign(key, Purpose.REQUEST, claims), id=request_id)


def check_request(
    token: str, keys: Iterable[Key], *, method: str, url: str, body: bytes, now: float | None = None
) -> Opened:
    """Check a request's proof. Raises SignatureRefused.

    The caller checks whether the id was used before.
    """
    claims, signed_with = _verify(token, keys, Purpose.REQUEST, now=now)
    if (claims.get("htm"), claims.get("htu"), claims.get("bsh")) != (method, url, _body_hash(body)):
        raise SignatureRefused("The proof was made for another request (method, URL or body differ).")
    return Opened(
        issuer=str(claims["iss"]),
        id=str(claims["jti"]),
        key=signed_with,
        expires_at=int(str(claims["exp"])),
        body="",
    )


def issuer_of(token: str) -> str:
    """The sender that a message names, not yet proved: good only for finding its key. "" when unreadable."""
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return str(claims.get("iss", "")) if isinstance(claims, dict) else ""
    except (IndexError, ValueError, RecursionError):
        return ""


def _sign(key: Key, purpose: Purpose, claims: dict[str, object]) -> str:
    header = {"alg": ALGORITHM, "typ": purpose.value, "kid": key_id(key)}
    return jwt.encode(header, claims, key, registry=_REGISTRY)


def _verify(
    token: str, keys: Iterable[Key], purpose: Purpose, *, now: float | None
) -> tuple[dict[str, object], str]:
    by_id = {key_id(key): key for key in keys}
    try:
        decoded = jwt.decode(
            token, lambda message: _pick(by_id, message.headers().get("kid")), registry=_REGISTRY
        )
    except (
        JoseError,
        ValueError,
        TypeError,
        RecursionError,
    ) as problem:  # the library trips over headers that are not of their type
        raise SignatureRefused("The signature does not fit any known key.") from problem
    if decoded.header.get("typ") != purpose.value:
        raise SignatureRefused("The message is of another kind.")
    claims = dict(decoded.claims)
    _check_time(claims, time.time() if now is None else now)
    return claims, str(decoded.header.get("kid"))


def _pick(by_id: dict[str, Key], kid: object) -> Key:
    key = by_id.get(str(kid))
    if key is None:
        raise SignatureRefused(
            "The message is signed with a key that is not known here (revoked, or never enrolled)."
        )
    return key


def _check_time(claims: dict[str, object], now: float) -> None:
    issued_at, expires_at = claims.get("iat"), claims.get("exp")
    if not isinstance(issued_at, int) or not isinstance(expires_at, int) or not claims.get("jti"):
        raise SignatureRefused("The message lacks iat, exp or jti.")
    if not abs(issued_at) < _TIME_MAX > abs(expires_at) or expires_at > issued_at + LIFETIME_S:
        raise SignatureRefused(
            f"The message is good for longer than {LIFETIME_S} s after it was made, or its times are none."
        )
    if issued_at > now + SKEW_S:
        raise ClockRefused(
            f"The sender's clock is {issued_at - now:.0f} s ahead of ours; set both clocks by NTP."
        )
    if expires_at < now - SKEW_S:
        raise ClockRefused(
            f"The message expired {now - expires_at:.0f} s ago: it is a replay, "
            "or the sender's clock is behind; set both clocks by NTP."
        )


def _body_hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
