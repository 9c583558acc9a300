"""The Lua that reads claims, run as Kong runs it, with tokens that want to be misread."""

import base64
import json
from typing import Any
from uuid import uuid4

import pytest

from agent.drivers.kong import auth as kong_auth
from agent.protocol.spec import Auth, AuthMode
from tests.agent.doubles import live
from tests.doubles.kong.exchange import Exchange
from tests.doubles.kong.lua import Exit, Sandbox
from tests.doubles.kong.pdk import Pdk

ISSUER = 'https://issuer.example/"r\\ealm\n한'
AUTH = Auth(
    mode=AuthMode.OAUTH2, issuer=ISSUER, audience="pay", scopes=("read", "write"), jwks=({"kid": "x"},)
)
CONSUMER = str(kong_auth.issuer_consumer(ISSUER))
GOOD = {"iss": ISSUER, "aud": "pay", "scope": "read write", "exp": 4102444800}


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox()


def code_of(auth: Auth) -> str:
    """The code of the access phase."""
    plugin = next(
        plugin
        for plugin in kong_auth.guards(live(auth=auth), "service", uuid4())
        if plugin.body["name"] == "post-function"
    )
    return str(plugin.body["config"]["access"][0])


def came_with(token: str, *, consumer: str) -> Exchange:
    """A request whose token Kong's jwt has let pass."""
    exchange = Exchange(
        id="1",
        method="GET",
        raw_path="/",
        path="/",
        query="",
        host="x",
        headers=[("Authorization", f"Bearer {token}"), ("imp-consumer", "root"), ("imp_consumer", "root")],
        body=b"",
    )
    exchange.shared, exchange.consumer = {"authenticated_jwt_token": token}, {"id": consumer}
    return exchange


def judge(
    sandbox: Sandbox, claims: Any, *, consumer: str = CONSUMER, auth: Auth = AUTH, token: str | None = None
) -> int:
    """200 for those who pass; `claims` may be the JSON text itself."""
    text = claims if isinstance(claims, str | bytes) else json.dumps(claims)
    payload = (
        base64.urlsafe_b64encode(text if isinstance(text, bytes) else text.encode()).decode().rstrip("=")
    )
    exit_call = sandbox.run(
        code_of(auth),
        Pdk(exchange=came_with(f"e30.{payload}.c2ln" if token is None else token, consumer=consumer)),
    )
    if exit_call is None:
        return 200
    assert isinstance(exit_call, Exit)
    assert exit_call.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    assert json.loads(exit_call.body)["status"] == exit_call.status
    return exit_call.status


def with_(**claims: Any) -> dict[str, Any]:
    return {name: value for name, value in {**GOOD, **claims}.items() if value is not None}


@pytest.mark.parametrize(
    "claims",
    [
        GOOD,
        with_(aud=["other", "pay"]),
        with_(scope=["write", "read"]),
        with_(scope=None, scp="read write more"),
        with_(scope="read", scp=["write"]),
        with_(nbf=1),
        with_(extra={"aud": "other", "deep": [[[{"a": None}]]]}, more=[True, False, None, -1.5e10, 0, 1e-3]),
        '{ "iss" : %s , "aud":"p\\u0061y","scope":"read\\u0020write" }' % json.dumps(ISSUER),  # noqa: UP031 (JSON is full of braces)
        json.dumps(GOOD, ensure_ascii=False),
        json.dumps(with_(name="\U0001f600 \x7f"), ensure_ascii=True),
    ],
)
def test_who_may_passes(sandbox: Sandbox, claims: Any) -> None:
    assert judge(sandbox, claims) == 200


@pytest.mark.parametrize(
    "claims",
    [
        with_(aud="other"),
        with_(aud=None),
        with_(aud=[]),
        with_(aud={"pay": "pay"}),
        with_(aud=True),
        with_(aud=["PAY", "pay "]),
    ],
)
def test_a_token_for_another_audience_is_no_valid_one(sandbox: Sandbox, claims: Any) -> None:
    assert judge(sandbox, claims) == 401


@pytest.mark.parametrize(
    "scopes",
    [
        {"scope": "read"},
        {"scope": None},
        {"scope": "reader writer"},
        {"scope": "read,write"},
        {"scope": "READ WRITE"},
        {"scope": {"read": 1, "write": 1}},
        {"scope": [["read", "write"]]},
        {"scope": ["read write"]},
        {"scope": 1},
        {"scope": "read\twrite"},
    ],
)
def test_a_missing_scope_is_not_allowed(sandbox: Sandbox, scopes: dict[str, Any]) -> None:
    assert judge(sandbox, with_(**scopes)) == 403


def test_without_scopes_the_audience_is_enough(sandbox: Sandbox) -> None:
    assert judge(sandbox, with_(scope=None), auth=AUTH.model_copy(update={"scopes": ()})) == 200


HEAD = json.dumps(GOOD)[:-1]


@pytest.mark.parametrize(
    "text",
    [
        HEAD + ', "aud": "pay"}',  # one name twice, even with one value
        HEAD + ', "\\u0061ud": "other"}',
        '{"aud": "other", ' + HEAD[1:] + "}",
        HEAD + ', "x": ' + "[" * 40 + "]" * 40 + "}",
        HEAD + ', "x": ' + '{"a":' * 40 + "1" + "}" * 41,
        HEAD + ', "x": "\\x41"}',
        HEAD + ', "x": "\\ud800"}',
        HEAD + ', "x": "\\udc00\\ud800"}',
        HEAD + ', "x": "\\ud800\\u0041"}',
        HEAD + ', "x": "\\u12"}',
        HEAD + ', "x": "a\nb"}',
        HEAD + ', "x": "open',
        HEAD + ', "x": 1e999}',
        HEAD + ', "x": -1e999}',
        HEAD + ', "x": 01}',
        HEAD + ', "x": +1}',
        HEAD + ', "x": .5}',
        HEAD + ', "x": 1.}',
        HEAD + ', "x": 0x10}',
        HEAD + ', "x": NaN}',
        HEAD + ', "x": Infinity}',
        HEAD + ', "x": tru}',
        HEAD + ", 'x': 1}",
        HEAD + ", x: 1}",
        HEAD + ",}",
        HEAD + ', "x": [1,]}',
        HEAD + ', "x"}',
        HEAD,
        HEAD + "}}",
        HEAD + "} {}",
        HEAD + "} //",
        "[" + HEAD + "}]",
        '"' + "x" * 10 + '"',
        "null",
        "",
        HEAD + ', "x": "' + "a" * 20_000 + '"}',
        b"\xff\xfe" + HEAD.encode() + b"}",
        HEAD + "\x00}",
    ],
)
def test_a_text_that_is_not_strictly_json_is_nobody_s(sandbox: Sandbox, text: str | bytes) -> None:
    assert judge(sandbox, text) == 401


@pytest.mark.parametrize(
    "claims",
    [
        with_(iss="https://other.example"),
        with_(iss=None),
        with_(iss=[ISSUER]),
        with_(iss=ISSUER + "/"),
        with_(nbf=4e9),
        with_(nbf="1"),
    ],
)
def test_another_issuer_or_time_is_nobody_s(sandbox: Sandbox, claims: Any) -> None:
    assert judge(sandbox, claims) == 401


def test_a_key_of_another_issuer_s_consumer_is_nobody_s(sandbox: Sandbox) -> None:
    assert judge(sandbox, GOOD, consumer=str(kong_auth.issuer_consumer("https://other.example"))) == 401
    assert judge(sandbox, GOOD, consumer="") == 401


@pytest.mark.parametrize(
    "token", ["", "a", "a.b", "a..c", ".e30.", "a.b.c.d", "a.****.c", "a." + "A" * 5 + ".c", "e30 .e30.c2ln"]
)
def test_what_is_no_token_is_nobody_s(sandbox: Sandbox, token: str) -> None:
    assert judge(sandbox, GOOD, token=token) == 401


def test_long_tokens_are_refused_before_they_cost_time(sandbox: Sandbox) -> None:
    assert judge(sandbox, "[" * 1_000_000) == 401
    assert judge(sandbox, json.dumps(with_(x=["a"] * 2000))) == 200


def test_a_caller_s_own_consumer_header_does_not_get_through(sandbox: Sandbox) -> None:
    payload = base64.urlsafe_b64encode(json.dumps(GOOD).encode()).decode().rstrip("=")
    exchange = came_with(f"e30.{payload}.c2ln", consumer=CONSUMER)
    assert sandbox.run(code_of(AUTH), Pdk(exchange=exchange)) is None
    assert [name for name, _ in exchange.headers] == ["Authorization"]
