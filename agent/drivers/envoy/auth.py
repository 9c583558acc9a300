"""Auth as Envoy resources: the listener's filters, and those that a virtual host switches on.

Pure functions; knows no route and no file.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict

from agent.drivers.base import Refused
from agent.drivers.envoy.forged_headers import forged_headers
from agent.drivers.problems import challenges
from agent.protocol.headers import CONSUMER_HEADER
from agent.protocol.spec import ApiKey, Auth, AuthMode, Spec, State

Resource = dict[str, object]

API_KEY, TOKEN, CLAIMS = (
    "envoy.filters.http.api_key_auth",
    "envoy.filters.http.jwt_authn",
    "envoy.filters.http.rbac",
)
_HTTP = "type.googleapis.com/envoy.extensions.filters.http"
TOKEN_TYPE = f"{_HTTP}.jwt_authn.v3.JwtAuthentication"
_PAYLOAD, _HEAD = "imp", "imp-head"
CHALLENGES = "imp"
IS_BEARER: Resource = {"name": "authorization", "string_match": {"prefix": "Bearer ", "ignore_case": True}}
SCHEME_POLICY, TOKEN_POLICY, SCOPES_POLICY = "1-scheme", "2-token", "3-scopes"
_SCOPE_CLAIMS = ("scope", "scp")
_FILTERS = {AuthMode.NONE: (), AuthMode.API_KEY: (API_KEY,), AuthMode.OAUTH2: (TOKEN, CLAIMS)}

CLOCK_SKEW_S = 5
"""By how much an issuer's clock may differ from the gateway's."""

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PRINTABLE = re.compile(r"[!-~]+")


def filters(tokens: Resource) -> list[Resource]:
    """The listener's filters in their order; those of a policy sleep until a virtual host wakes them.

    `tokens` is where the issuers' keys come from: their discovery (`config_discovery`), or the filter itself
    (`typed_config`).
    """
    no_forged_headers = {
        "mutations": {
            "request_mutations": [
                {"remove_on_match": {"key_matcher": {"safe_regex": {"regex": name}}}}
                for name in forged_headers()
            ]
        }
    }
    return [
        {
            "name": "envoy.filters.http.header_mutation",
            "typed_config": {"@type": f"{_HTTP}.header_mutation.v3.HeaderMutation", **no_forged_headers},
        },
        {"name": API_KEY, "disabled": True, "typed_config": {"@type": f"{_HTTP}.api_key_auth.v3.ApiKeyAuth"}},
        {"name": TOKEN, "disabled": True, **tokens},
        {"name": CLAIMS, "disabled": True, "typed_config": {"@type": f"{_HTTP}.rbac.v3.RBAC"}},
        {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_HTTP}.router.v3.Router"}},
    ]


def token_filter(providers: Mapping[str, Resource]) -> Resource:
    """The filter that checks tokens, with all issuers that virtual hosts name."""
    requirements = {name: {"provider_name": name} for name in providers}
    return {"@type": TOKEN_TYPE, "providers": dict(providers), "requirement_map": requirements}


def providers(spec: Spec) -> dict[str, Resource]:
    """The issuer of a live oauth2 spec by name; empty for every other spec. Raises Refused.

    The name changes with the issuer's keys.
    """
    auth = spec.auth
    if spec.state != State.LIVE or auth.mode != AuthMode.OAUTH2:
        return {}
    for field in ("issuer", "audience", "jwks"):
        if not getattr(auth, field):
            raise Refused(
                f"The spec asks for tokens but names no {field}.", code="invalid", entity="auth", field=field
            )
    return {_provider_name(spec): _provider(auth)}


def per_host(spec: Spec) -> Resource:
    """The filters that a live spec's virtual host switches on. Raises Refused when a part is missing.

    A publish is never served open instead.
    """
    if spec.auth.mode == AuthMode.API_KEY:
        return {API_KEY: _api_keys(spec.auth)}
    if spec.auth.mode == AuthMode.OAUTH2:
        requirement = {
            "@type": f"{_HTTP}.jwt_authn.v3.PerRouteConfig",
            "requirement_name": _provider_name(spec),
        }
        return {TOKEN: requirement, CLAIMS: _claims(spec.auth)}
    return {}


def metadata(spec: Spec) -> Resource:
    """A live virtual host's metadata, from which the listener reads the challenge of a refusal."""
    texts = {situation: words for situation, words in asdict(challenges(spec)).items() if words}
    return {} if spec.auth.mode == AuthMode.NONE else {"filter_metadata": {CHALLENGES: texts}}


def off(auth: Auth) -> Resource:
    """A route's part that opens it without credentials although its virtual host asks for them."""
    return {
        name: {
            "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
            "disabled": True,
            "config": {},
        }
        for name in _FILTERS[auth.mode]
    }


def without_keys(words: str, hosts: list[Resource]) -> str:
    """Envoy's message with every key of these hosts blotted out: Envoy quotes a key that it refuses."""
    for key in (key for host in hosts for key in _keys_in(host)):
        words = words.replace(key, "…")
    return words


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
        "@type": f"{_HTTP}.api_key_auth.v3.ApiKeyAuthPerRoute",
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


def _provider(auth: Auth) -> Resource:
    return {
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
        "@type": f"{_HTTP}.rbac.v3.RBACPerRoute",
        "rbac": {"rules": {"action": "DENY", "policies": policies}},
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


def _provider_name(spec: Spec) -> str:
    """The provider's name, made of its content.

    Routes ask for a changed provider, or one of another agent version, only once Envoy has it.
    """
    content = json.dumps(_provider(spec.auth), sort_keys=True)
    return f"imp:{spec.publish_id}:{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _keys_in(host: Resource) -> list[str]:
    config = host.get("typed_per_filter_config")
    wanted = config.get(API_KEY) if isinstance(config, dict) else None
    credentials = wanted.get("credentials") if isinstance(wanted, dict) else None
    return [str(credential["key"]) for credential in credentials or []]
