"""api-key and oauth2 on a real Envoy: callers and upstreams with right, wrong and no credentials."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest

from agent.drivers.base import Unproved
from agent.drivers.envoy import auth as envoy_auth
from agent.protocol.spec import ApiKey, Auth, AuthMode, Spec
from tests.agent import issuer
from tests.agent.doubles import Upstreams, free_port, live, make_service, withdrawn
from tests.agent.gateway import Answer, Gateway, Memory, hold

UNAUTHENTICATED = {
    "type": "about:blank",
    "title": "Unauthorized",
    "status": 401,
    "code": "unauthenticated",
    "detail": "API 키나 토큰이 없거나 올바르지 않습니다. / The API key or token is missing or not valid.",
}
FORBIDDEN = {
    "type": "about:blank",
    "title": "Forbidden",
    "status": 403,
    "code": "forbidden",
    "detail": "이 토큰으로는 이 API를 쓸 수 없습니다. 토큰에 필요한 scope가 없습니다."
    " / This token does not open this API: it lacks a scope.",
}


def key(consumer: str, secret: str) -> ApiKey:
    return ApiKey(id=uuid4(), consumer=consumer, fingerprint=f"of-{secret}", secret=secret)


def with_keys(port: int, *keys: ApiKey, header: str = "apikey", generation: int = 1) -> Spec:
    return live(
        port=port, generation=generation, auth=Auth(mode=AuthMode.API_KEY, key_header=header, keys=keys)
    )


def with_tokens(port: int, *keys: issuer.Key, scopes: tuple[str, ...] = ("read", "write")) -> Spec:
    auth = Auth(
        mode=AuthMode.OAUTH2,
        issuer=issuer.ISSUER,
        audience=issuer.AUDIENCE,
        scopes=scopes,
        jwks=issuer.public(*keys or (issuer.rsa(),)),
    )
    return live(port=port, auth=auth)


def changed(spec: Spec, *, generation: int, **auth: Any) -> Spec:
    return spec.model_copy(update={"generation": generation, "auth": spec.auth.model_copy(update=auth)})


def ask_with_token(gateway: Gateway, spec: Spec, token: str) -> Answer:
    return gateway.ask(spec.host, "/x", headers={"Authorization": f"Bearer {token}"})


def is_problem(answer: Answer, body: dict[str, Any]) -> bool:
    return (
        answer.header("content-type") == ["application/problem+json; charset=utf-8"]
        and answer.status == body["status"]
        and answer.json == body
    )


def upstream_headers(answer: Answer) -> dict[str, str]:
    """The headers that the upstream heard."""
    return {name.lower(): value for name, value in answer.json["headers"].items()}


def test_each_key_opens_and_the_upstream_learns_the_consumer_but_never_the_key(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec = with_keys(upstream.port, key("one", "key-one"), key("two", "key-two"), key("two", "key-two-new"))
    memory.apply(spec)
    evidence = gateway.driver.verify(hold(spec))
    assert (evidence.probes, evidence.bursts) == (12, 1)
    assert upstream.requests == []
    for secret, consumer in {"key-one": "one", "key-two": "two", "key-two-new": "two"}.items():
        answer = gateway.ask(spec.host, "/x", headers={"apikey": secret, "imp-consumer": "somebody-else"})
        assert answer.status == 200
        assert upstream_headers(answer)["imp-consumer"] == consumer
        assert secret not in answer.body.decode()


def test_the_name_of_the_header_is_the_spec_s(gateway: Gateway, memory: Memory, upstream: Upstreams) -> None:
    spec = with_keys(upstream.port, key("one", "key-one"), header="X-Api-Key")
    memory.apply(spec)
    assert gateway.ask(spec.host, headers={"apikey": "key-one"}).status == 401
    answer = gateway.ask(spec.host, headers={"x-api-key": "key-one"})
    assert answer.status == 200
    assert "x-api-key" not in upstream_headers(answer)


def test_a_key_of_one_publish_opens_no_other(gateway: Gateway, memory: Memory, upstream: Upstreams) -> None:
    first, second = (
        with_keys(upstream.port, key("one", "key-one")),
        with_keys(upstream.port, key("two", "key-two")),
    )
    memory.apply(first, second)
    assert gateway.ask(first.host, headers={"apikey": "key-one"}).status == 200
    assert gateway.ask(second.host, headers={"apikey": "key-one"}).status == 401


def test_without_any_key_everything_is_closed(gateway: Gateway, memory: Memory, upstream: Upstreams) -> None:
    spec = with_keys(upstream.port)
    memory.apply(spec)
    gateway.driver.verify(hold(spec))
    for headers in ({}, {"apikey": ""}, {"apikey": "any"}):
        assert is_problem(gateway.ask(spec.host, headers=headers), UNAUTHENTICATED)


def test_a_revoked_key_is_refused_and_the_others_go_on(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    first, second = key("one", "key-one"), key("two", "key-two")
    spec = with_keys(upstream.port, first, second)
    memory.apply(spec)
    assert memory.apply(changed(spec, generation=2, keys=(second,))).changes == 1
    assert gateway.ask(spec.host, headers={"apikey": "key-one"}).status == 401
    assert gateway.ask(spec.host, headers={"apikey": "key-two"}).status == 200


def test_markers_are_open_but_the_one_for_auth(gateway: Gateway, memory: Memory, upstream: Upstreams) -> None:
    spec = with_keys(upstream.port, key("one", "key-one"), generation=7)
    memory.apply(spec)
    prefix = f"/.well-known/imp/{spec.publish_id}"
    assert (gateway.ask(spec.host, f"{prefix}/7").status, gateway.ask(spec.host, f"{prefix}/7").body) == (
        200,
        b"7",
    )
    for path in (f"{prefix}/6", f"{prefix}/6/auth", prefix):
        assert (
            gateway.ask(spec.host, path).status,
            gateway.ask(spec.host, path).header("imp-generation"),
        ) == (404, ["7"]), path
    assert is_problem(gateway.ask(spec.host, f"{prefix}/7/auth"), UNAUTHENTICATED)
    with_key = gateway.ask(spec.host, f"{prefix}/7/auth", headers={"apikey": "key-one"})
    assert (with_key.status, with_key.body, with_key.header("imp-generation")) == (200, b"7", ["7"])
    assert upstream.requests == []


def test_withdrawn_answers_410_before_it_asks_who_calls(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    for spec in (with_keys(upstream.port, key("one", "key-one")), with_tokens(upstream.port)):
        memory.apply(spec)
        withdrawn_spec = withdrawn(spec, generation=2)
        memory.apply(withdrawn_spec)
        gateway.driver.verify(hold(withdrawn_spec))
        assert gateway.ask(spec.host, "/x").status == 410
        assert (
            gateway.ask(spec.host, "/x", headers={"apikey": "wrong", "Authorization": "Bearer x"}).json[
                "code"
            ]
            == "withdrawn"
        )


def test_what_is_open_although_it_should_ask_is_not_proved(
    gateway: Gateway, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.drivers.envoy.driver.PROOF_S", 0.3)
    monkeypatch.setattr(envoy_auth, "filters", lambda _spec: [])
    spec = with_keys(9, key("one", "key-one"))
    memory.apply(spec)
    assert gateway.ask(spec.host, f"/.well-known/imp/{spec.publish_id}/1/auth").status == 200
    with pytest.raises(Unproved, match="answered 200 with 1 where it asks for credentials"):
        gateway.driver.verify(hold(spec))


def test_a_right_token_opens(gateway: Gateway, memory: Memory, upstream: Upstreams) -> None:
    spec = with_tokens(upstream.port, issuer.rsa(), issuer.ec(), issuer.rsa("rsa-2"))
    memory.apply(spec)
    assert gateway.driver.verify(hold(spec)).probes == 12
    assert upstream.requests == []
    alike: list[dict[str, Any]] = [
        {},
        {"aud": ["other", issuer.AUDIENCE]},
        {"scope": ["write", "read"]},
        {"scope": None, "scp": "read more write"},
    ]
    for signer in (issuer.rsa(), issuer.ec(), issuer.rsa("rsa-2")):
        for claims in alike:
            answer = ask_with_token(gateway, spec, issuer.token(signer, **claims))
            assert answer.status == 200, claims
            assert upstream_headers(answer)["authorization"].startswith("Bearer ")
            assert "imp-consumer" not in upstream_headers(answer)


def test_a_wrong_token_is_refused_as_nobody_s_and_one_with_too_few_scopes_as_not_allowed(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec = with_tokens(upstream.port, issuer.rsa(), issuer.ec())
    memory.apply(spec)
    good = issuer.token()
    header, payload, _ = good.split(".")
    refused = {
        "none": "",
        "garbage": "garbage",
        "expired": issuer.token(lasts_s=-10),
        "without an end": issuer.token(exp=None),
        "not yet": issuer.token(nbf=4_000_000_000),
        "issuer": issuer.token(iss="https://other.example"),
        "issuer without end": issuer.token(iss=None),
        "signature": issuer.token(issuer.rsa("stranger")),
        "stranger under a known name": issuer.token(issuer.renamed("rsa-1")),
        "unsigned": f"{header}.{payload}.",
        "alg none": f"eyJhbGciOiJub25lIn0.{payload}.",
        "kinds mixed": issuer.token(issuer.ec("rsa-1")),
    }
    assert ask_with_token(gateway, spec, good).status == 200
    for fault, token in refused.items():
        assert is_problem(ask_with_token(gateway, spec, token), UNAUTHENTICATED), fault
    assert is_problem(gateway.ask(spec.host), UNAUTHENTICATED)
    assert is_problem(gateway.ask(spec.host, f"/?access_token={good}"), UNAUTHENTICATED)
    audiences: list[dict[str, Any]] = [
        {"aud": "other"},
        {"aud": None},
        {"aud": []},
        {"aud": f"https://{issuer.AUDIENCE}/"},
    ]
    scopes: list[dict[str, Any]] = [
        {"scope": scope} for scope in ("read", None, "reader writer", "read,write", ["read"])
    ]
    for claims, body in [
        *((claims, UNAUTHENTICATED) for claims in audiences),
        *((claims, FORBIDDEN) for claims in scopes),
    ]:
        assert is_problem(ask_with_token(gateway, spec, issuer.token(**claims)), body), claims
    assert len(upstream.requests) == 1


def test_without_scopes_any_token_for_the_audience_opens(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec = with_tokens(upstream.port, scopes=())
    memory.apply(spec)
    assert ask_with_token(gateway, spec, issuer.token(scope=None)).status == 200
    assert is_problem(ask_with_token(gateway, spec, issuer.token(aud="other")), UNAUTHENTICATED)


def test_an_issuer_s_changed_keys_take_the_place_of_the_old_ones(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    old, new = issuer.rsa(), issuer.rsa("rsa-2")
    spec = with_tokens(upstream.port, old)
    memory.apply(spec)
    assert memory.apply(changed(spec, generation=2, jwks=issuer.public(old, new))).changes == 1
    assert [ask_with_token(gateway, spec, issuer.token(signer)).status for signer in (old, new)] == [200, 200]
    memory.apply(changed(spec, generation=3, jwks=issuer.public(new)))
    assert [ask_with_token(gateway, spec, issuer.token(signer)).status for signer in (old, new)] == [401, 200]


def test_two_publishes_with_one_issuer_and_different_audiences(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    first = with_tokens(upstream.port)
    second = live(port=upstream.port, auth=first.auth.model_copy(update={"audience": "other"}))
    memory.apply(first, second)
    assert [ask_with_token(gateway, spec, issuer.token()).status for spec in (first, second)] == [200, 401]
    memory.apply(withdrawn(first, generation=2))
    assert [ask_with_token(gateway, spec, issuer.token(aud="other")).status for spec in (first, second)] == [
        410,
        200,
    ]


def test_envoy_started_again_asks_for_credentials_at_once(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    closed = [with_keys(upstream.port, key("one", "key-one")), with_tokens(upstream.port)]
    memory.apply(*closed)
    gateway.stop()
    gateway.start()
    assert [gateway.ask(spec.host).status for spec in closed] == [401, 401]
    assert gateway.ask(closed[0].host, headers={"apikey": "key-one"}).status == 200
    assert ask_with_token(gateway, closed[1], issuer.token()).status == 200
    assert memory.apply(*closed).changes == 0


def test_ten_thousand_keys_are_one_change_and_each_opens(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    keys = [key(f"consumer-{number}", f"key-{number:032}") for number in range(10_000)]
    spec = with_keys(upstream.port, *keys)
    assert memory.apply(spec).changes == 2
    gateway.driver.verify(hold(spec))
    for number in (0, 5_000, 9_999):
        assert (
            upstream_headers(gateway.ask(spec.host, headers={"apikey": f"key-{number:032}"}))["imp-consumer"]
            == f"consumer-{number}"
        )
    assert gateway.ask(spec.host, headers={"apikey": f"key-{10_000:032}"}).status == 401


def test_what_an_agent_without_memory_finds_closed_stays_closed(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    closed = [with_keys(upstream.port, key("one", "key-one")), with_tokens(upstream.port)]
    memory.apply(*closed)
    gateway.forget()
    (gateway.state / "envoy" / "resources.sqlite3").unlink()
    Memory(gateway.driver).apply(live(port=upstream.port))
    assert [gateway.ask(spec.host).status for spec in closed] == [401, 401]
    assert ask_with_token(gateway, closed[1], issuer.token()).status == 200


def test_envoy_s_words_against_a_configuration_hold_no_key(
    gateway: Gateway, memory: Memory, upstream: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "agent.drivers.envoy.auth.len", lambda _: 0, raising=False
    )  # let Envoy itself find the double
    spec = with_keys(upstream.port, key("one", "canary-key"), key("two", "canary-key"))
    (refusal,) = memory.apply(spec).refused.values()
    assert refusal.code == "gateway_refused"
    assert "canary-key" not in str(refusal)
    assert "…" in str(refusal)
    assert gateway.ask(spec.host, headers={"apikey": "canary-key"}).status == 404


def test_keys_are_in_no_file_that_others_can_read(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    memory.apply(with_keys(upstream.port, key("one", "canary-key")))
    holding = [
        path for path in gateway.state.rglob("*") if path.is_file() and b"canary-key" in path.read_bytes()
    ]
    assert holding
    assert {path.name.removesuffix("-wal") for path in holding} == {"resources.sqlite3"}
    assert {path.stat().st_mode & 0o777 for path in holding} == {0o600}


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of an upstream that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def babbling() -> Iterator[int]:
    """The port of an upstream whose answer is no HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def babble() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    connection.sendall(b"no http at all\r\n\r\n")
                    connection.close()

        threading.Thread(target=babble, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def test_what_envoy_says_where_no_upstream_answers_is_a_problem(
    gateway: Gateway, memory: Memory, silent: int, babbling: int
) -> None:
    dead = live(port=free_port())
    slow = live(services=(make_service(silent, timeout_ms=200),))
    odd = live(port=babbling)
    memory.apply(dead, slow, odd)
    for spec, status, code in (
        (dead, 503, "upstream_unavailable"),
        (slow, 504, "upstream_too_slow"),
        (odd, 502, "bad_upstream_answer"),
    ):
        answer = gateway.ask(spec.host, "/x")
        assert (answer.status, answer.json["status"], answer.json["code"]) == (status, status, code)
        assert answer.header("content-type") == ["application/problem+json; charset=utf-8"]
        assert answer.header("www-authenticate") == []
    host, _, port = gateway.proxy.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(f"GET /x HTTP/1.1\r\nHost: {dead.host}\r\nContent-Length: nonsense\r\n\r\n".encode())
        reply = b"".join(iter(lambda: raw.recv(4096), b""))
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in reply
    assert b'"code": "bad_request"' in reply


def test_what_an_upstream_itself_says_stays_as_it_is(
    gateway: Gateway, memory: Memory, upstream: Upstreams
) -> None:
    spec = live(port=upstream.port)
    memory.apply(spec)
    for status in (400, 502, 503, 504):
        upstream.status = status
        answer = gateway.ask(spec.host, "/x")
        assert (answer.status, answer.json["upstream"]) == (status, "one")
    assert len(upstream.requests) == 4  # what reached it is not sent again


def test_no_cache_keeps_a_410(gateway: Gateway, memory: Memory) -> None:
    spec = live()
    memory.apply(spec, withdrawn(spec, generation=2))
    memory.apply(withdrawn(spec, generation=2))
    answer = gateway.ask(spec.host, "/x")
    assert (answer.status, answer.header("cache-control")) == (410, ["no-store"])
