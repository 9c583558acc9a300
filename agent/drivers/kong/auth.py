"""Auth as Kong entities: the plugins before services and markers, consumers and their credentials.

Pure functions; the Lua comes from `kong.lua`.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid5

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from agent.drivers.base import Refused
from agent.drivers.kong import lua
from agent.drivers.kong.entities import (
    NAMESPACE,
    TAG,
    WAVES,
    Body,
    Entity,
    checksum,
    own_id,
)
from agent.drivers.kong.parts import plugin, tags_of
from agent.protocol.spec import ApiKey, Auth, AuthMode, Spec

PLUGINS = ("key-auth", "jwt", "pre-function", "post-function")
NEEDED = {
    AuthMode.NONE: ("request-termination", "post-function"),
    AuthMode.API_KEY: ("request-termination", "post-function", "key-auth"),
    AuthMode.OAUTH2: ("request-termination", "post-function", "pre-function", "jwt"),
}

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PRINTABLE = re.compile(r"[!-~]+")
_KEY_TYPES: dict[str, Any] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_ALGORITHMS = {"RSA": "RS256", "P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "OKP": "EdDSA"}


def entities(spec: Spec, services: list[UUID]) -> list[Entity]:
    """The guards of these services and the credentials that pass. Raises Refused when a part is missing.

    A publish is never served open instead.
    """
    checks = {
        AuthMode.NONE: lambda _auth: None,
        AuthMode.API_KEY: _check_keys,
        AuthMode.OAUTH2: _check_issuer,
    }
    checks[spec.auth.mode](spec.auth)
    before = [guard for service in services for guard in guards(spec, "service", service)]
    return (
        [*before, *(entity for key in spec.auth.keys for entity in _credential(spec, key))]
        if spec.auth.mode == AuthMode.API_KEY
        else before
    )


def guards(spec: Spec, scope: str, parent: UUID, *, wave: int = WAVES["plugins"]) -> list[Entity]:
    """The plugins at one service or route: the one that asks for credentials, and our code, on every one."""
    config = lua.post_function(
        spec, consumers=_user_name(spec, ""), issuer=str(issuer_consumer(spec.auth.issuer))
    )
    code = plugin(spec, "post-function", scope, parent, config=config, wave=wave)
    if spec.auth.mode == AuthMode.API_KEY:
        key_config: Body = {
            "key_names": [spec.auth.key_header],
            "key_in_header": True,
            "key_in_query": False,
            "key_in_body": False,
        }
        key_config |= {"hide_credentials": True, "run_on_preflight": True}
        return [plugin(spec, "key-auth", scope, parent, config=key_config, wave=wave), code]
    if spec.auth.mode == AuthMode.OAUTH2:
        # Kong checks the signature and the expiry; our code checks the rest, and nbf where a token has it.
        token_config: Body = {
            "key_claim_name": "kid",
            "claims_to_verify": ["exp"],
            "header_names": ["authorization"],
        }
        token_config |= {"uri_param_names": [], "cookie_names": [], "run_on_preflight": True}
        guard = plugin(spec, "jwt", scope, parent, config=token_config, wave=wave)
        scheme = plugin(spec, "pre-function", scope, parent, config={"access": [lua.SCHEME]}, wave=wave)
        return [
            guard.with_body(tags=[*guard.body["tags"], f"imp-issuer:{issuer_hash(spec.auth.issuer)}"]),
            scheme,
            code,
        ]
    return [code]


def issuer_entities(
    issuer: str, jwks: list[dict[str, Any]], *, present: Iterable[Entity] = ()
) -> list[Entity]:
    """The consumer that stands for an issuer, and its keys by kid, besides those kept. Raises Refused.

    One set for all publishes of that issuer.
    """
    tags = [TAG, f"imp-issuer:{issuer_hash(issuer)}"]
    consumer_id = issuer_consumer(issuer)
    requested = [_token_key(issuer, consumer_id, tags, jwk) for jwk in jwks if jwk.get("kid")]
    keys = list({key.key: key for key in [*present, *requested]}.values())
    consumer = Entity(
        kind="consumers",
        id=consumer_id,
        body={"username": f"imp.issuer.{issuer_hash(issuer)}", "tags": tags},
        wave=WAVES["consumers"],
    )
    # The checksum of the whole set, so that a half-written or damaged one is noticed.
    return [consumer.with_body(tags=[*tags, f"imp-sum:{checksum(keys)}"]), *keys]


def issuer_consumer(issuer: str) -> UUID:
    """The id of the consumer that stands for an issuer."""
    return uuid5(NAMESPACE, f"issuer:{issuer}")


def issuer_hash(issuer: str) -> str:
    """How an issuer is named in tags."""
    return hashlib.sha256(issuer.encode()).hexdigest()[:16]


def _credential(spec: Spec, key: ApiKey) -> list[Entity]:
    tags = tags_of(spec)
    consumer_id = own_id(spec.publish_id, f"consumer:{key.consumer}")
    owner = {"consumer": {"id": str(consumer_id)}, "tags": tags}
    return [
        Entity(
            kind="consumers",
            id=consumer_id,
            body={"username": _user_name(spec, key.consumer), "tags": tags},
            wave=WAVES["consumers"],
        ),
        Entity(
            kind="keyauth_credentials",
            id=own_id(spec.publish_id, f"key:{key.id}"),
            body={"key": key.secret, **owner},
            wave=WAVES["keyauth_credentials"],
        ),
    ]


def _user_name(spec: Spec, consumer: str) -> str:
    return f"imp.{spec.publish_id}.{consumer}"


def _check_keys(auth: Auth) -> None:
    if not _HEADER.fullmatch(auth.key_header):
        raise Refused(
            f"{auth.key_header!r} is not the name of a header.",
            code="invalid",
            entity="auth",
            field="key_header",
        )
    for key in auth.keys:
        if not _PRINTABLE.fullmatch(key.secret):
            raise Refused(
                "A key came without its secret, or with one that fits into no header.",
                code="invalid",
                entity=f"key {key.id}",
                field="secret",
            )
        if not _PRINTABLE.fullmatch(key.consumer):
            raise Refused(
                f"{key.consumer!r} fits into no header.",
                code="invalid",
                entity=f"key {key.id}",
                field="consumer",
            )
    if len({key.secret for key in auth.keys}) < len(auth.keys):
        raise Refused(
            "Two keys are the same, and the gateway could not tell their consumers apart.",
            code="invalid",
            entity="auth",
            field="keys",
        )


def _check_issuer(auth: Auth) -> None:
    for field in ("issuer", "audience", "jwks"):
        if not getattr(auth, field):
            raise Refused(
                f"The spec asks for tokens but names no {field}.", code="invalid", entity="auth", field=field
            )
    if not any(jwk.get("kid") for jwk in auth.jwks):
        raise Refused(
            "None of the issuer's keys has a kid, and Kong finds keys by it.",
            code="invalid",
            entity="auth",
            field="jwks",
        )


def _token_key(issuer: str, consumer_id: UUID, tags: list[str], jwk: dict[str, Any]) -> Entity:
    kid = str(jwk["kid"])
    try:
        kind = str(jwk["kty"])
        material = _KEY_TYPES[kind].import_key(json.loads(json.dumps(jwk))).as_pem(private=False).decode()
        algorithm = str(jwk.get("alg") or _ALGORITHMS[jwk["crv"] if kind == "EC" else kind])
    except (KeyError, ValueError, TypeError, JoseError) as problem:
        raise Refused(
            f"The issuer's key {kid} is of a kind that Kong cannot use.",
            code="invalid",
            entity=f"key {kid}",
            field="jwks",
        ) from problem
    body = {
        "key": kid,
        "algorithm": algorithm,
        "rsa_public_key": material,
        "consumer": {"id": str(consumer_id)},
        "tags": tags,
    }
    return Entity(
        kind="jwt_secrets", id=uuid5(NAMESPACE, f"jwt:{issuer}:{kid}"), body=body, wave=WAVES["jwt_secrets"]
    )
