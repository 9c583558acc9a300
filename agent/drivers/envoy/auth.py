"""Auth as Envoy filters: those that a publish's callers pass, and the challenges of its refusals.

Pure functions; knows no route.
"""

import json
import re
from dataclasses import asdict

from agent.drivers.base import Refused, refuse_auth_except
from agent.drivers.envoy.messages import HTTP_FILTERS, Resource
from agent.drivers.problems import challenges
from agent.protocol.headers import CONSUMER_HEADER
from agent.protocol.spec import ApiKey, Auth, AuthMode, Spec

API_KEY, TOKEN, CLAIMS = (
    "envoy.filters.http.api_key_auth",
    "envoy.filters.http.jwt_authn",
    "envoy.filters.http.rbac",
)
_PROVIDER = "issuer"
_PAYLOAD, _HEAD = "imp", "imp-head"
CHALLENGES = "imp"
IS_BEARER: Resource = {"name": "authorization", "string_match": {"prefix": "Bearer ", "ignore_case": True}}
SCHEME_POLICY, TOKEN_POLICY, SCOPES_POLICY = "1-scheme", "2-token", "3-scopes"
_SCOPE_CLAIMS = ("scope", "scp")

CLOCK_SKEW_S = 5
"""By how much an issuer's clock may differ from the gateway's."""

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PRINTABLE = re.compile(r"[!-~]+")


def filters(spec: Spec) -> list[Resource]:
    """The filters that the callers of a live spec pass, in order. Raises Refused when a part is missing.

    A publish is never served open instead.
    """
    refuse_auth_except(spec, AuthMode.NONE, AuthMode.API_KEY, AuthMode.OAUTH2)
    if spec.auth.mode == AuthMode.API_KEY:
        return [_filter(API_KEY, _api_keys(spec.auth))]
    if spec.auth.mode == AuthMode.OAUTH2:
        return [_filter(TOKEN, _tokens(spec.auth)), _filter(CLAIMS, _claims(spec.auth))]
    return []


def metadata(spec: Spec) -> Resource:
    """A live virtual host's metadata, from which the listener reads the challenge of a refusal."""
    texts = {situation: text for situation, text in asdict(challenges(spec)).items() if text}
    return {"filter_metadata": {CHALLENGES: texts}}


def without_keys(text: str, auth: Auth) -> str:
    """Envoy's message with every key of this publish blotted out: Envoy quotes a key that it refuses."""
    for key in auth.keys:
        text = text.replace(key.secret, "…") if key.secret else text
    return text


def _filter(name: str, config: Resource) -> Resource:
    return {"name": name, "typed_config": config}


def _api_keys(auth: Auth) -> Resource:
    if not _HEADER.fullmatch(auth.key_header):
        raise Refused(
            f"{auth.key_header!r} is not the name of a header.",
            code="invalid",
            entity="auth",
            field="key_header",
        )
    for key in auth.keys:
        _check(key)
    if len({key.secret for key in auth.keys}) < len(auth.keys):
        raise Refused(
            "Two keys are the same, and the gateway could not tell their consumers apart.",
            code="invalid",
            entity="auth",
            field="keys",
        )
    return {
        "@type": f"{HTTP_FILTERS}.api_key_auth.v3.ApiKeyAuth",
        "credentials": [{"key": key.secret, "client": key.consumer} for key in auth.keys],
        "key_sources": [{"header": auth.key_header}],
        "forwarding": {"header": CONSUMER_HEADER, "hide_credentials": True},
    }


def _check(key: ApiKey) -> None:
    if not _PRINTABLE.fullmatch(key.secret):
        raise Refused(
            "A key came without its secret, or with one that fits into no header.",
            code="invalid",
            entity=f"key {key.id}",
            field="secret",
        )
    if not _PRINTABLE.fullmatch(key.consumer):
        raise Refused(
            f"{key.consumer!r} fits into no header.", code="invalid", entity=f"key {key.id}", field="consumer"
        )


def _tokens(auth: Auth) -> Resource:
    for field in ("issuer", "audience", "jwks"):
        if not getattr(auth, field):
            raise Refused(
                f"The spec asks for tokens but names no {field}.", code="invalid", entity="auth", field=field
            )
    provider = {
        # Not the audience: here Envoy would take https://a/ for a.
        "issuer": auth.issuer,
        "local_jwks": {"inline_string": json.dumps({"keys": auth.jwks}, sort_keys=True)},
        # Schemes are written in any case (RFC 9110 §11.1), and Envoy compares letter by letter: this takes
        # any scheme, and a policy takes Bearer alone.
        "from_headers": [{"name": "Authorization", "value_prefix": " "}],
        "forward": True,
        "require_expiration": True,
        "clock_skew_seconds": CLOCK_SKEW_S,
        "payload_in_metadata": _PAYLOAD,
        "header_in_metadata": _HEAD,
        "normalize_payload_in_metadata": {"space_delimited_claims": list(_SCOPE_CLAIMS)},
    }
    return {
        "@type": f"{HTTP_FILTERS}.jwt_authn.v3.JwtAuthentication",
        "providers": {_PROVIDER: provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": _PROVIDER}}],
    }


def _claims(auth: Auth) -> Resource:
    """The policies that refuse a token with a good signature.

    Envoy goes through policies by name, and says which one refused.
    """
    audience: Resource = {"or_match": {"value_matchers": [_exact(auth.audience), _list_holds(auth.audience)]}}
    # Envoy understands no extension, and would let a token pass that demands one (RFC 7515 §4.1.11).
    no_extension: Resource = {"not_id": _metadata(_HEAD, "crit", {"present_match": True})}
    policies = {
        SCHEME_POLICY: _refuse_unless([{"header": IS_BEARER}]),
        TOKEN_POLICY: _refuse_unless([_claim("aud", audience), no_extension]),
    }
    if auth.scopes:
        each: list[Resource] = [
            {"or_ids": {"ids": [_claim(name, _list_holds(scope)) for name in _SCOPE_CLAIMS]}}
            for scope in auth.scopes
        ]
        policies[SCOPES_POLICY] = _refuse_unless(each)
    return {
        "@type": f"{HTTP_FILTERS}.rbac.v3.RBAC",
        "rules": {"action": "DENY", "policies": policies},
    }


def _refuse_unless(all_of: list[Resource]) -> Resource:
    return {"permissions": [{"any": True}], "principals": [{"not_id": {"and_ids": {"ids": all_of}}}]}


def _exact(text: str) -> Resource:
    return {"string_match": {"exact": text}}


def _list_holds(text: str) -> Resource:
    return {"list_match": {"one_of": _exact(text)}}


def _claim(name: str, value: Resource) -> Resource:
    return _metadata(_PAYLOAD, name, value)


def _metadata(part: str, name: str, value: Resource) -> Resource:
    path = [{"key": part}, {"key": name}]
    return {
        "sourced_metadata": {
            "metadata_matcher": {"filter": TOKEN, "path": path, "value": value},
            "metadata_source": "DYNAMIC",
        }
    }
