"""api-key and oauth2 on Kong, in both modes: who passes, what the upstream hears, and shared issuers."""

from collections.abc import Callable
from typing import Any

import pytest

from agent.drivers.base import Refused, ShownState
from agent.protocol.spec import Auth, Spec
from tests.agent import issuer
from tests.agent.doubles import Upstreams, absent, live, withdrawn
from tests.agent.drivers.kong.gateway import Gateway, changed, key, with_keys, with_tokens
from tests.agent.gateway import Answer, hold

WRONG = [
    {},
    {"apikey": "wrong"},
    {"apikey": "KEY-ONE"},
    {"Authorization": "Bearer key-one"},
    {"x-api-key": "key-one"},
]


def upstream_headers(answer: Answer) -> dict[str, str]:
    """The headers that the upstream heard."""
    return {name.lower(): value for name, value in answer.json["headers"].items()}


def with_one_key(port: int) -> Spec:
    return with_keys(port, key("one", "key-one"))


def with_token(gateway: Gateway, host: str, token: str, **headers: str) -> Answer:
    return gateway.ask(host, "/x", headers={"Authorization": f"Bearer {token}", **headers})


def test_each_key_opens_and_the_upstream_learns_the_consumer_but_never_the_key(
    gateway: Gateway, upstream: Upstreams
) -> None:
    spec = with_keys(upstream.port, key("one", "key-one"), key("two", "key-two"), key("two", "key-two-new"))
    (evidence,) = gateway.publish(spec)
    assert (evidence.probes, evidence.bursts) == (24, 2)
    assert [gateway.ask(spec.host, headers=headers).status for headers in WRONG] == [401] * 5
    assert gateway.ask(spec.host, "/?apikey=key-one").status == 401
    assert upstream.requests == []
    for secret, consumer in (("key-one", "one"), ("key-two", "two"), ("key-two-new", "two")):
        answer = gateway.ask(spec.host, headers={"apikey": secret, "imp-consumer": "root"})
        assert upstream_headers(answer)["imp-consumer"] == consumer
        assert secret not in str(answer.json)


def test_another_publish_s_or_consumer_s_key_does_not_open(db: Gateway, upstream: Upstreams) -> None:
    first, second = (
        with_keys(upstream.port, key("one", "key-one")),
        with_keys(upstream.port, key("one", "key-two")),
    )
    db.publish(first, second)
    db.admin("POST", "/consumers", {"username": "stranger"})
    db.admin("POST", "/consumers/stranger/key-auth", {"key": "stranger-key"})
    assert [
        db.ask(first.host, headers={"apikey": secret}).status
        for secret in ("key-one", "key-two", "stranger-key")
    ] == [200, 401, 401]


@pytest.mark.parametrize("make", [with_one_key, with_tokens])
def test_without_our_code_nobody_without_credentials_comes_in(
    db: Gateway, upstream: Upstreams, make: Callable[[int], Spec]
) -> None:
    spec = make(upstream.port)
    db.publish(spec)
    for code in [plugin for plugin in db.kong.own("plugins") if plugin["name"] == "post-function"]:
        db.admin("DELETE", f"/plugins/{code['id']}")
    assert db.ask(spec.host).status == 401
    assert db.driver.observe().carried[spec.publish_id].digest == ""
    assert upstream.requests == []


def test_keys_are_exchanged_in_place(gateway: Gateway, upstream: Upstreams) -> None:
    old = key("one", "key-one")
    spec = with_keys(upstream.port, old)
    gateway.publish(spec)
    new = old.model_copy(update={"secret": "key-new"})
    gateway.publish(
        changed(spec, generation=2, auth=spec.auth.model_copy(update={"keys": (new, key("two", "key-two"))}))
    )
    assert [
        gateway.ask(spec.host, headers={"apikey": secret}).status
        for secret in ("key-one", "key-new", "key-two")
    ] == [401, 200, 200]
    gateway.publish(changed(spec, generation=3, auth=spec.auth.model_copy(update={"keys": (new,)})))
    assert gateway.ask(spec.host, headers={"apikey": "key-two"}).status == 401
    assert gateway.counts()["keyauth_credentials"] == 1
    assert gateway.counts()["consumers"] == 1


def test_a_right_token_opens(gateway: Gateway, upstream: Upstreams) -> None:
    spec = with_tokens(upstream.port, issuer.rsa(), issuer.ec(), issuer.rsa("rsa-2"))
    gateway.publish(spec)
    assert upstream.requests == []
    alike: list[dict[str, Any]] = [
        {},
        {"aud": ["other", issuer.AUDIENCE]},
        {"scope": ["write", "read"]},
        {"scope": None, "scp": "read more write"},
    ]
    for signer in (issuer.rsa(), issuer.ec()):
        for claims in alike:
            answer = with_token(
                gateway, spec.host, issuer.token(signer, **claims), **{"imp-consumer": "root"}
            )
            assert answer.status == 200, claims
            assert "imp-consumer" not in upstream_headers(answer)


def test_a_wrong_token_is_refused_as_nobody_s_and_one_with_too_few_scopes_as_not_allowed(
    gateway: Gateway, upstream: Upstreams
) -> None:
    spec = with_tokens(upstream.port, issuer.rsa(), issuer.ec())
    gateway.publish(spec)
    good = issuer.token()
    header, payload, _ = good.split(".")
    refused = {
        "garbage": "garbage",
        "expired": issuer.token(lasts_s=-10),
        "without an end": issuer.token(exp=None),
        "not yet": issuer.token(nbf=4_000_000_000),
        "issuer": issuer.token(iss="https://other.example"),
        "no issuer": issuer.token(iss=None),
        "signature": issuer.token(issuer.renamed("rsa-1")),
        "stranger": issuer.token(issuer.rsa("stranger")),
        "unsigned": f"{header}.{payload}.",
        "alg none": f"eyJhbGciOiJub25lIn0.{payload}.",
        "kinds mixed": issuer.token(issuer.ec("rsa-1")),
    }
    for fault, token in refused.items():
        assert with_token(gateway, spec.host, token).status == 401, fault
    assert gateway.ask(spec.host).status == 401
    assert gateway.ask(spec.host, f"/?jwt={good}").status == 401
    audiences: list[dict[str, Any]] = [{"aud": "other"}, {"aud": None}, {"aud": []}]
    scopes: list[dict[str, Any]] = [
        {"scope": scope} for scope in ("read", None, "reader writer", "read,write", ["read"])
    ]
    for claims, expected in [
        *((claims, (401, "unauthenticated")) for claims in audiences),
        *((claims, (403, "forbidden")) for claims in scopes),
    ]:
        answer = with_token(gateway, spec.host, issuer.token(**claims))
        assert (answer.status, answer.json["code"]) == expected, claims
        assert answer.header("content-type") == ["application/problem+json; charset=utf-8"]
    early = with_token(gateway, spec.host, refused["not yet"])
    assert (early.status, early.json["code"], early.header("www-authenticate")) == (
        401,
        "unauthenticated",
        [f'Bearer realm="{spec.host}", error="invalid_token"'],
    )
    assert upstream.requests == []


def test_two_publishes_share_an_issuer_and_the_last_one_takes_its_keys_along(
    gateway: Gateway, upstream: Upstreams
) -> None:
    first = with_tokens(upstream.port)
    second = live(port=upstream.port, auth=first.auth.model_copy(update={"audience": "other"}))
    gateway.publish(first, second)
    assert gateway.counts()["jwt_secrets"] == 1
    assert [with_token(gateway, spec.host, issuer.token()).status for spec in (first, second)] == [200, 401]
    gateway.memory.apply(absent(first, generation=2))
    assert gateway.counts()["jwt_secrets"] == 1
    assert with_token(gateway, second.host, issuer.token(aud="other")).status == 200
    gateway.memory.apply(absent(second, generation=2))
    assert gateway.counts() == {}


def test_an_issuer_cannot_speak_in_the_name_of_another(gateway: Gateway, upstream: Upstreams) -> None:
    honest = with_tokens(upstream.port, issuer.rsa())
    other_issuer = with_tokens(upstream.port, issuer.rsa("other-1"), issuer="https://other.example")
    gateway.publish(honest, other_issuer)
    assert with_token(gateway, honest.host, issuer.token()).status == 200
    assert with_token(gateway, honest.host, issuer.token(issuer.rsa("other-1"))).status == 401


def test_a_kid_that_two_issuers_use_is_refused_to_the_second(gateway: Gateway, upstream: Upstreams) -> None:
    first, second = with_tokens(upstream.port), with_tokens(upstream.port, issuer="https://other.example")
    applied = gateway.memory.apply(first, second)
    (why,) = applied.refused.values()
    assert list(applied.refused) == [second.publish_id]
    assert (why.code, why.entity) == ("kid_conflict", "key rsa-1")
    assert with_token(gateway, first.host, issuer.token()).status == 200
    assert gateway.ask(second.host).status == 404


def stolen(kid: str, *more_keys: issuer.Key) -> tuple[dict[str, Any], ...]:
    """What an issuer publishes that names a key of its own as another issuer's is named."""
    return (*issuer.public(*more_keys), issuer.public(issuer.renamed(kid))[0])


def test_whose_key_stands_keeps_its_kid_whoever_comes_first(gateway: Gateway, upstream: Upstreams) -> None:
    own = issuer.rsa("own-1")
    thief, owner = with_tokens(upstream.port, own, issuer="https://thief.example"), with_tokens(upstream.port)
    gateway.publish(thief, owner)
    scopes = owner.auth.model_copy(update={"scopes": ("read",)})
    applied = gateway.memory.apply(
        changed(thief, generation=2, auth=thief.auth.model_copy(update={"jwks": stolen("rsa-1", own)})),
        changed(owner, generation=2, auth=scopes),
    )
    assert {publish: why.code for publish, why in applied.refused.items()} == {
        thief.publish_id: "kid_conflict"
    }
    assert with_token(gateway, owner.host, issuer.token(scope="read")).status == 200
    assert with_token(gateway, thief.host, issuer.token(own, iss="https://thief.example")).status == 200


def test_who_is_refused_for_one_kid_holds_no_other(gateway: Gateway, upstream: Upstreams) -> None:
    owner, third = (
        with_tokens(upstream.port),
        with_tokens(upstream.port, issuer.rsa("third-1"), issuer="https://third.example"),
    )
    thief = live(
        port=upstream.port,
        auth=owner.auth.model_copy(
            update={"issuer": "https://thief.example", "jwks": stolen("rsa-1", issuer.rsa("third-1"))}
        ),
    )
    applied = gateway.memory.apply(owner, thief, third)
    assert list(applied.refused) == [thief.publish_id]
    assert (
        with_token(
            gateway, third.host, issuer.token(issuer.rsa("third-1"), iss="https://third.example")
        ).status
        == 200
    )


def test_an_issuer_s_changed_keys_take_the_place_of_the_old_ones(
    gateway: Gateway, upstream: Upstreams
) -> None:
    old, new = issuer.rsa(), issuer.rsa("rsa-2")
    spec = with_tokens(upstream.port, old)
    gateway.publish(spec)
    for generation, keys, statuses in ((2, (old, new), [200, 200]), (3, (new,), [401, 200])):
        gateway.publish(
            changed(
                spec, generation=generation, auth=spec.auth.model_copy(update={"jwks": issuer.public(*keys)})
            )
        )
        assert [
            with_token(gateway, spec.host, issuer.token(signer)).status for signer in (old, new)
        ] == statuses


def test_a_withdrawn_publish_keeps_no_key_that_its_issuer_has_given_up(
    gateway: Gateway, upstream: Upstreams
) -> None:
    old, new = issuer.rsa(), issuer.rsa("rsa-2")
    withdrawn_spec, spec = with_tokens(upstream.port, old), with_tokens(upstream.port, old)
    gateway.publish(withdrawn_spec, spec)
    gateway.publish(withdrawn(withdrawn_spec, generation=2))
    gateway.publish(
        changed(spec, generation=2, auth=spec.auth.model_copy(update={"jwks": issuer.public(new)}))
    )
    assert [with_token(gateway, spec.host, issuer.token(signer)).status for signer in (old, new)] == [
        401,
        200,
    ]


@pytest.mark.parametrize(
    ("make", "path", "kind"),
    [(with_tokens, "jwts", "jwt_secrets"), (with_one_key, "key-auths", "keyauth_credentials")],
)
def test_a_key_that_another_hand_removed_is_seen_within_a_minute_and_healed(
    db: Gateway,
    upstream: Upstreams,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[int], Spec],
    path: str,
    kind: str,
) -> None:
    spec = make(upstream.port)
    db.publish(spec)
    db.admin("DELETE", f"/{path}/{db.kong.own(kind)[0]['id']}")
    db.kong.faults.clear()
    assert db.driver.observe().carried[spec.publish_id].digest == spec.digest
    assert len(db.kong.faults.reads()) == 3
    monkeypatch.setattr("agent.drivers.kong.reader.KEYS_AGE_S", 0.0)
    assert db.driver.observe().carried[spec.publish_id].digest == ""
    assert db.memory.apply(spec).changes == 1
    assert db.driver.observe().carried[spec.publish_id].digest == spec.digest
    assert (
        db.ask(spec.host, headers={"apikey": "key-one", "Authorization": f"Bearer {issuer.token()}"}).status
        == 200
    )


def test_keys_that_another_agent_changed_are_seen_at_once(db: Gateway, upstream: Upstreams) -> None:
    spec = with_one_key(upstream.port)
    db.publish(spec)
    second = Gateway(db.kong)
    second.memory.apply(spec)
    newer = changed(spec, generation=2, auth=spec.auth.model_copy(update={"keys": (key("two", "key-two"),)}))
    db.publish(newer)
    assert second.driver.observe().carried == {spec.publish_id: ShownState(generation=2, digest=newer.digest)}
    assert second.memory.apply(newer).changes == 0


def test_withdrawn_answers_410_before_it_asks_who_calls(gateway: Gateway, upstream: Upstreams) -> None:
    for spec in (with_keys(upstream.port, key("one", "key-one")), with_tokens(upstream.port)):
        gateway.publish(spec)
        gateway.publish(withdrawn(spec, generation=2))
        assert gateway.ask(spec.host, "/x").status == 410
        assert gateway.ask(spec.host, f"/.well-known/imp/{spec.publish_id}/1/auth").status == 410
        gateway.publish(changed(spec, generation=3))
        assert gateway.ask(spec.host, "/x").status == 401
    assert gateway.ask(spec.host, "/x", headers={"Authorization": f"Bearer {issuer.token()}"}).status == 200


@pytest.mark.parametrize(
    ("auth", "plugin"),
    [
        ({}, "post-function"),
        ({"mode": "api-key", "key_header": "k"}, "key-auth"),
        ({"mode": "oauth2", "issuer": "i", "audience": "a", "jwks": issuer.public(issuer.rsa())}, "jwt"),
    ],
)
def test_a_node_without_the_plugin_refuses_before_anything_is_changed(
    gateway: Gateway, auth: dict[str, Any], plugin: str
) -> None:
    gateway.kong.store.plugins = tuple(name for name in gateway.kong.store.plugins if name != plugin)
    (why,) = gateway.memory.apply(live(auth=Auth(**auth))).refused.values()
    assert (why.code, why.entity) == ("plugin_missing", f"plugin {plugin}")
    assert gateway.kong.faults.writes() == []


def test_a_node_without_lua_refuses_before_anything_is_changed(gateway: Gateway) -> None:
    gateway.kong.admin.untrusted_lua = "off"
    assert {why.code for why in gateway.memory.apply(live(), with_tokens(9)).refused.values()} == {"lua_off"}
    assert gateway.kong.faults.writes() == []


@pytest.mark.parametrize(
    ("auth", "field"),
    [
        ({"mode": "api-key", "key_header": "not a header"}, "key_header"),
        ({"mode": "api-key", "key_header": "k", "keys": (key("one", ""),)}, "secret"),
        ({"mode": "oauth2", "issuer": "i", "audience": "a"}, "jwks"),
        ({"mode": "oauth2", "issuer": "i", "audience": "a", "jwks": ({"kty": "RSA", "kid": "x"},)}, "jwks"),
    ],
)
def test_auth_that_says_too_little_is_refused_and_never_served_open(
    gateway: Gateway, auth: dict[str, Any], field: str
) -> None:
    spec = live(auth=Auth(**auth))
    (why,) = gateway.memory.apply(spec).refused.values()
    assert isinstance(why, Refused)
    assert why.field == field
    assert gateway.ask(spec.host).status == 404
    assert gateway.counts() == {}


def test_a_removed_publish_that_asked_for_keys_leaves_nothing(gateway: Gateway, upstream: Upstreams) -> None:
    specs = [with_keys(upstream.port, key("one", "key-one")), with_tokens(upstream.port)]
    gateway.publish(*specs)
    gateway.memory.apply(*[absent(spec, generation=2) for spec in specs])
    for spec in specs:
        gateway.driver.verify(hold(absent(spec, generation=2), probe_host=spec.host))
    assert gateway.counts() == {}
