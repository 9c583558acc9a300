"""The plugins that ask who calls: key-auth, jwt and acl."""

import base64
import json
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from tests.doubles.kong.checks import ALGORITHMS
from tests.doubles.kong.exchange import Answer, Exchange
from tests.doubles.kong.schemas import Entity

Tables = Mapping[str, Mapping[str, Entity]]


def key_auth(config: Entity, exchange: Exchange, tables: Tables) -> Answer | None:
    """A key in one of the headers or query fields."""
    challenge = {"WWW-Authenticate": f'Key realm="{config["realm"]}"' if config["realm"] else "Key"}
    name, keys = _keys_of_request(config, exchange)
    if not keys:
        return exchange.problem(401, "No API key found in request", headers=challenge)
    if len(keys) > 1:
        return exchange.problem(401, "Duplicate API key found", headers=challenge)
    unexpired = (
        row
        for row in tables["keyauth_credentials"].values()
        if row.get("expires", time.time() + 1) > time.time()
    )
    credential = next((row for row in unexpired if row["key"] == keys[0]), None)
    if credential is None:
        return exchange.problem(401, "Unauthorized", headers=challenge)
    if config["hide_credentials"]:
        exchange.headers = [
            (header, value) for header, value in exchange.headers if header.lower() != name.lower()
        ]
        if config["key_in_query"]:
            exchange.query = urlencode(
                [(field, value) for field, value in parse_qsl(exchange.query) if field != name]
            )
    _admit(exchange, tables, credential, identifier=credential["id"])
    return None


def jwt(config: Entity, exchange: Exchange, tables: Tables) -> Answer | None:
    """A signed token whose key a claim names; only the claims that the configuration names are checked."""
    token = _token_of_request(config, exchange)
    if not token:
        return Answer.json(401, {"message": "Unauthorized"}, headers={"WWW-Authenticate": "Bearer"})
    try:
        head, claims = _read(token)
        credential = _credential(config, tables, head, claims)
        _verify(credential, head, token)
        _check_claims(config, claims)
    except _Refused as problem:
        return Answer.json(401, problem.body, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    exchange.shared["authenticated_jwt_token"] = token
    _admit(exchange, tables, credential, identifier=credential["key"])
    return None


def acl(config: Entity, exchange: Exchange, tables: Tables) -> Answer | None:
    """Only consumers of some groups."""
    if exchange.consumer is None:
        return exchange.problem(401, "Unauthorized", headers={})
    groups = sorted(
        row["group"] for row in tables["acls"].values() if row["consumer"]["id"] == exchange.consumer["id"]
    )
    is_welcome = (
        set(groups) & set(config["allow"]) if config["allow"] else not set(groups) & set(config["deny"] or [])
    )
    if not is_welcome:
        return exchange.problem(403, "You cannot consume this service", headers={})
    if not config["hide_groups_header"]:
        exchange.set_header("X-Consumer-Groups", ", ".join(groups))
    return None


class _Signatures(jws.JWSRegistry):
    """Kong looks at no member of the header but alg and the key's name; `crit` says nothing to it."""

    def check_header(self, header: Entity) -> None:
        pass


class _Refused(Exception):
    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body = body if isinstance(body, dict) else {"message": body}


def _keys_of_request(config: Entity, exchange: Exchange) -> tuple[str, list[str]]:
    for name in config["key_names"]:
        keys = exchange.all_headers(name) if config["key_in_header"] else []
        if not keys and config["key_in_query"]:
            keys = [value for field, value in parse_qsl(exchange.query) if field == name]
        if keys:
            return name, keys
    return "", []


def _token_of_request(config: Entity, exchange: Exchange) -> str:
    for name in config["uri_param_names"]:
        if values := [value for field, value in parse_qsl(exchange.query) if field == name]:
            return values[0]
    for name in config["header_names"]:
        for value in exchange.all_headers(name):
            # Not in the records; after Kong's own source: two spellings of the scheme, anywhere in the
            # header.
            if bearer := re.search(r"[Bb]earer\s+(.+)", value):
                return bearer[1]
    return ""


def _read(token: str) -> tuple[Entity, Entity]:
    parts = token.split(".")
    try:
        head, claims = (
            json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2]
        )
    except ValueError as problem:
        raise _Refused("Bad token; invalid JSON") from problem
    if head.get("alg") not in ALGORITHMS:
        raise _Refused("Bad token; invalid alg")
    if not isinstance(claims, dict) or len(parts) != 3:
        raise _Refused("Bad token; invalid claims")  # Not in the records.
    return head, claims


def _credential(config: Entity, tables: Tables, head: Entity, claims: Entity) -> Entity:
    name = config["key_claim_name"]
    key = claims.get(name) or head.get(name)
    if not key:
        raise _Refused(f"No mandatory '{name}' in claims")
    credential = next((row for row in tables["jwt_secrets"].values() if row["key"] == key), None)
    if credential is None:
        raise _Refused(f"No credentials found for given '{name}'")
    if credential["algorithm"] != head["alg"]:
        raise _Refused("Invalid algorithm")
    return credential


def _verify(credential: Entity, head: Entity, token: str) -> None:
    kinds: dict[str, Any] = {"RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey, "HS": OctKey}
    kind = kinds[head["alg"][:2]]
    material = credential["secret"] if kind is OctKey else credential["rsa_public_key"]
    key = kind.import_key(json.loads(material) if material.lstrip().startswith("{") else material)
    try:
        jws.deserialize_compact(
            token, key, algorithms=[head["alg"]], registry=_Signatures(algorithms=[head["alg"]])
        )
    except (JoseError, ValueError) as problem:
        raise _Refused("Invalid signature") from problem


def _check_claims(config: Entity, claims: Entity) -> None:
    late = {"exp": lambda value: value <= time.time(), "nbf": lambda value: value > time.time()}
    messages = {"exp": "token expired", "nbf": "token not valid yet"}
    for name in config["claims_to_verify"] or []:
        if isinstance(claims.get(name), bool) or not isinstance(claims.get(name), (int, float)):
            raise _Refused({name: "must be a number"})
        if late[name](claims[name]):
            raise _Refused({name: messages[name]})


def _admit(exchange: Exchange, tables: Tables, credential: Entity, *, identifier: str) -> None:
    consumer = tables["consumers"][credential["consumer"]["id"]]
    exchange.consumer, exchange.credential = consumer, credential
    for header, value in (
        ("X-Consumer-ID", consumer["id"]),
        ("X-Consumer-Custom-ID", consumer["custom_id"]),
        ("X-Consumer-Username", consumer["username"]),
        ("X-Credential-Identifier", identifier),
    ):
        exchange.set_header(header, value)
