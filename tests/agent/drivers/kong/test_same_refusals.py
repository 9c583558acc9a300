"""One table of callers for every kind of gateway: the refusals, and what an upstream hears of the others."""

import re
import time
from typing import Any

import pytest
from joserfc import jwt

from agent.protocol.spec import Auth, AuthMode
from tests.agent import issuer
from tests.agent.doubles import Upstreams, live
from tests.agent.drivers.kong.gateway import Anywhere, key, with_tokens
from tests.agent.gateway import Answer

PROBLEM = "application/problem+json; charset=utf-8"
UNAUTHENTICATED = "API 키나 토큰이 없거나 올바르지 않습니다. / The API key or token is missing or not valid."
FORBIDDEN = (
    "이 토큰으로는 이 API를 쓸 수 없습니다. 토큰에 필요한 scope가 없습니다."
    " / This token does not open this API: it lacks a scope."
)
BODIES: dict[int, dict[str, Any]] = {
    401: {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "code": "unauthenticated",
        "detail": UNAUTHENTICATED,
    },
    403: {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "code": "forbidden",
        "detail": FORBIDDEN,
    },
}
NO_KEYS: list[dict[str, str]] = [
    {},
    {"x-api-key": "wrong"},
    {"x-api-key": ""},
    {"x-api-key": "KEY-ONE"},
    {"apikey": "key-one"},
    {"Authorization": "Bearer key-one"},
    {"Cookie": "x-api-key=key-one"},
]
WANTS_A_TOKEN = 'Bearer realm="{host}"'
NOT_THIS_TOKEN = 'Bearer realm="{host}", error="invalid_token"'
MORE_SCOPES = 'Bearer realm="{host}", error="insufficient_scope", scope="read write"'


def tokens() -> dict[str, tuple[str, int, str]]:
    """Who comes: the Authorization header ("" for none), and the status and challenge that are the answer."""
    return {
        "nobody": ("", 401, WANTS_A_TOKEN),
        "another scheme": ("Basic b25lOnR3bw==", 401, WANTS_A_TOKEN),
        "garbage": ("Bearer garbage", 401, NOT_THIS_TOKEN),
        "expired": (f"Bearer {issuer.token(lasts_s=-10)}", 401, NOT_THIS_TOKEN),
        "another issuer": (f"Bearer {issuer.token(iss='https://other.example')}", 401, NOT_THIS_TOKEN),
        "wrong signature": (f"Bearer {issuer.token(issuer.renamed('rsa-1'))}", 401, NOT_THIS_TOKEN),
        "not yet": (f"Bearer {issuer.token(nbf=4_000_000_000)}", 401, NOT_THIS_TOKEN),
        "another audience": (f"Bearer {issuer.token(aud='other')}", 401, NOT_THIS_TOKEN),
        "another audience and no scope": (
            f"Bearer {issuer.token(aud='other', scope=None)}",
            401,
            NOT_THIS_TOKEN,
        ),
        "an audience spelled alike": (
            f"Bearer {issuer.token(aud=f'https://{issuer.AUDIENCE}/')}",
            401,
            NOT_THIS_TOKEN,
        ),
        "a list of such": (
            f"Bearer {issuer.token(aud=[f'{issuer.AUDIENCE}/', f'http://{issuer.AUDIENCE}'])}",
            401,
            NOT_THIS_TOKEN,
        ),
        "a critical extension": (
            f"Bearer {issuer.token(head={'crit': ['exp'], 'exp': 1})}",
            401,
            NOT_THIS_TOKEN,
        ),
        "an unknown critical extension": (
            f"Bearer {issuer.token(head={'crit': ['http://example.com/x'], 'http://example.com/x': True})}",
            401,
            NOT_THIS_TOKEN,
        ),
        "critical is nothing": (f"Bearer {issuer.token(head={'crit': None})}", 401, NOT_THIS_TOKEN),
        "a good token as another scheme": (f"Token {issuer.token()}", 401, WANTS_A_TOKEN),
        "a good token that only looks so": (f"NotBearer {issuer.token()}", 401, WANTS_A_TOKEN),
        "a good token without a scheme": (issuer.token(), 401, WANTS_A_TOKEN),
        "a token behind other credentials": (
            f"Basic b25lOnR3bw== Bearer {issuer.token()}",
            401,
            WANTS_A_TOKEN,
        ),
        "one scope": (f"Bearer {issuer.token(scope='read')}", 403, MORE_SCOPES),
        "no scope": (f"Bearer {issuer.token(scope=None)}", 403, MORE_SCOPES),
    }


def refusal(answer: Answer) -> tuple[int, list[str], list[str], Any]:
    return answer.status, answer.header("www-authenticate"), answer.header("content-type"), answer.json


def upstream_headers(answer: Answer) -> dict[str, str]:
    """The headers that the upstream heard."""
    assert answer.status == 200
    return {name.lower(): value for name, value in answer.json["headers"].items()}


def test_who_has_no_right_key_reads_which_header_is_wanted(anywhere: Anywhere, upstream: Upstreams) -> None:
    spec = live(
        port=upstream.port,
        auth=Auth(mode=AuthMode.API_KEY, key_header="X-Api-Key", keys=(key("one", "key-one"),)),
    )
    anywhere.publish(spec)
    expected = (401, [f'Key realm="{spec.host}", header="X-Api-Key"'], [PROBLEM], BODIES[401])
    for headers in NO_KEYS:
        assert refusal(anywhere.ask(spec.host, "/x", headers=headers)) == expected, headers
    assert refusal(anywhere.ask(spec.host, "/x?x-api-key=key-one")) == expected
    assert refusal(anywhere.ask(spec.host, f"/.well-known/imp/{spec.publish_id}/1/auth")) == expected
    assert upstream.requests == []


def test_who_has_no_right_token_reads_what_is_wrong_with_it(anywhere: Anywhere, upstream: Upstreams) -> None:
    spec = with_tokens(upstream.port, issuer.rsa(), issuer.ec())
    anywhere.publish(spec)
    for caller, (authorization, status, challenge) in tokens().items():
        answer = anywhere.ask(
            spec.host, "/x", headers={"Authorization": authorization} if authorization else {}
        )
        assert refusal(answer) == (status, [challenge.format(host=spec.host)], [PROBLEM], BODIES[status]), (
            caller
        )
    assert upstream.requests == []


def test_only_envoy_takes_a_token_that_has_just_ended_or_names_no_key(
    anywhere: Anywhere, upstream: Upstreams
) -> None:
    """The two differences in docs/kong.md: Kong's jwt compares `exp` with its own clock, finds keys by `kid`
    alone.
    """
    spec = with_tokens(upstream.port)
    anywhere.publish(spec)
    expected = 200 if anywhere.memory.driver.name == "envoy" else 401
    claims = {"iss": issuer.ISSUER, "aud": issuer.AUDIENCE, "exp": 4_000_000_000, "scope": "read write"}
    tokens = {
        "ended": issuer.token(lasts_s=-2),
        "no kid": jwt.encode({"alg": "RS256"}, claims, issuer.rsa(), algorithms=["RS256"]),
    }
    for case, token in tokens.items():
        assert anywhere.ask(spec.host, headers={"Authorization": f"Bearer {token}"}).status == expected, case
    early = issuer.token(nbf=int(time.time()) + 3)
    assert anywhere.ask(spec.host, headers={"Authorization": f"Bearer {early}"}).status == 200


def test_a_key_of_another_publish_is_no_key(anywhere: Anywhere, upstream: Upstreams) -> None:
    first, second = (
        live(
            port=upstream.port,
            auth=Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=(key("one", secret),)),
        )
        for secret in ("a-key", "b-key")
    )
    anywhere.publish(first, second)
    challenge = [f'Key realm="{first.host}", header="apikey"']
    assert refusal(anywhere.ask(first.host, headers={"apikey": "b-key"})) == (
        401,
        challenge,
        [PROBLEM],
        BODIES[401],
    )
    assert upstream_headers(anywhere.ask(second.host, headers={"apikey": "b-key"}))["imp-consumer"] == "one"


def test_an_upstream_s_own_401_stays_as_it_is(anywhere: Anywhere, upstream: Upstreams) -> None:
    spec = live(
        port=upstream.port,
        auth=Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=(key("one", "key-one"),)),
    )
    anywhere.publish(spec)
    upstream.status = 401
    answer = anywhere.ask(spec.host, headers={"apikey": "key-one"})
    assert (answer.status, answer.json["upstream"], answer.header("www-authenticate")) == (401, "one", [])


def test_the_scheme_of_a_token_is_written_in_any_case(anywhere: Anywhere, upstream: Upstreams) -> None:
    spec = with_tokens(upstream.port)
    anywhere.publish(spec)
    for scheme in ("Bearer", "bearer", "BEARER", "BeArEr", "bEARER"):
        assert (
            anywhere.ask(spec.host, headers={"Authorization": f"{scheme} {issuer.token()}"}).status == 200
        ), scheme


def test_no_caller_can_pretend_to_be_a_consumer(anywhere: Anywhere, upstream: Upstreams) -> None:
    pretending = {
        "imp-consumer": "somebody",
        "imp_consumer": "somebody",
        "Imp-Consumer": "somebody",
        "IMP_CONSUMER": "somebody",
    }
    keys = live(
        port=upstream.port,
        auth=Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=(key("one", "key-one"),)),
    )
    specs = {
        "nobody asks": (live(port=upstream.port), {}),
        "token": (with_tokens(upstream.port), {"Authorization": f"Bearer {issuer.token()}"}),
    }
    anywhere.publish(keys, *(spec for spec, _ in specs.values()))
    for case, (spec, credentials) in specs.items():
        names = upstream_headers(anywhere.ask(spec.host, headers=pretending | credentials))
        assert not {"imp-consumer", "imp_consumer"} & set(names), case
    names = upstream_headers(anywhere.ask(keys.host, headers=pretending | {"apikey": "key-one"}))
    assert (names["imp-consumer"], "imp_consumer" in names, "apikey" in names) == ("one", False, False)


PRETENDED = (
    *(
        "x-real-ip",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-path",
    ),
    *(
        "x-forwarded-server",
        "x-forwarded-scheme",
        "x-forwarded-ssl",
        "x-request-id",
        "imp-consumer",
        "forwarded",
    ),
)


@pytest.mark.parametrize("separators", ["-", "_", ".", "-_", "_-", "-.", "~"])
def test_what_gateways_say_of_a_caller_no_caller_says_in_any_spelling(
    anywhere: Anywhere, upstream: Upstreams, separators: str
) -> None:
    """CGI and WSGI read `x_real_ip` and, some of them, `x.real.ip` as `X-Real-IP`."""
    spec = live(port=upstream.port)
    anywhere.publish(spec)
    spellings = {name: _spelled(name, separators) for name in PRETENDED}
    answer = anywhere.ask(
        spec.host, headers={spelling.title(): "for=6.6.6.6" for spelling in spellings.values()}
    )
    as_wsgi_reads_them = {
        re.sub(r"[^a-z0-9]", "_", name): value for name, value in upstream_headers(answer).items()
    }
    of_the_caller = {
        name for name in PRETENDED if "6.6.6.6" in as_wsgi_reads_them.get(name.replace("-", "_"), "")
    }
    # Both gateways add the caller's address to an X-Forwarded-For that is spelled as it should be, and Envoy
    # keeps a request's own id.
    allowed = {"x-forwarded-for", "x-request-id"} if separators == "-" else set()
    assert of_the_caller <= allowed
    twins = [
        name
        for name in upstream_headers(answer)
        if re.sub(r"[^a-z0-9]", "-", name) in PRETENDED and name not in PRETENDED
    ]
    assert twins == []


def _spelled(name: str, separators: str) -> str:
    first, *parts = name.split("-")
    return first + "".join(
        separators[min(number, len(separators) - 1)] + part for number, part in enumerate(parts)
    )


def test_the_name_of_a_header_that_only_looks_alike_passes(anywhere: Anywhere, upstream: Upstreams) -> None:
    spec = live(port=upstream.port)
    anywhere.publish(spec)
    parts = {
        "x-forwarded": "a",
        "xreal-ip": "b",
        "important": "c",
        "my_header": "d",
        "not-forwarded": "e",
        "x-real-ip-2": "f",
    }
    assert parts.items() <= upstream_headers(anywhere.ask(spec.host, headers=parts)).items()
