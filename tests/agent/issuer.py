"""An issuer of tokens for tests: makes keys of both kinds, signs any claims, gives JWKs as in specs."""

import json
import time
from functools import cache
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

ISSUER = "https://issuer.example/realms/api"
AUDIENCE = "payment-api"

Key = RSAKey | ECKey


@cache
def rsa(name: str = "rsa-1") -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": name, "alg": "RS256", "use": "sig"}, private=True)


@cache
def ec(name: str = "ec-1") -> ECKey:
    return ECKey.generate_key("P-256", {"kid": name, "alg": "ES256", "use": "sig"}, private=True)


def public(*keys: Key) -> tuple[dict[str, Any], ...]:
    return tuple(dict(key.as_dict(private=False)) for key in keys)


def token(
    key: Key | None = None, *, lasts_s: int = 300, head: dict[str, Any] | None = None, **claims: Any
) -> str:
    """A good token unless a claim says otherwise; a claim of None is left out.

    `head` is added to its header as it is.
    """
    key, now = key or rsa(), int(time.time())
    content = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "caller",
        "iat": now,
        "exp": now + lasts_s,
        "scope": "read write",
        **claims,
    }
    header = {"alg": key.as_dict(private=False)["alg"], "kid": key.kid, **(head or {})}
    payload = json.dumps({name: value for name, value in content.items() if value is not None}).encode()
    # A registry that checks nothing: what an issuer signs is not always right.
    return jws.serialize_compact(header, payload, key, algorithms=["RS256", "ES256"], registry=_Anything())


class _Anything(jws.JWSRegistry):
    def check_header(self, header: dict[str, Any]) -> None:
        pass


def renamed(name: str) -> RSAKey:
    """Another key under a known key's name."""
    return RSAKey.generate_key(2048, {"kid": name, "alg": "RS256", "use": "sig"}, private=True)
