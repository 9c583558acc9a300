"""A Kong with a database: few calls in order, faults of single calls, and other entities left alone."""

import json
from collections.abc import Callable
from uuid import uuid4

import pytest

from agent.drivers.base import Refused, ShownState, Unreachable
from agent.drivers.kong import routing
from agent.drivers.kong.admin_api import Admin
from agent.drivers.kong.entities import own_id
from agent.protocol.spec import Spec
from tests.agent.doubles import Upstreams, absent, live, withdrawn
from tests.agent.drivers.kong.gateway import Gateway, changed, key, three_services, with_keys
from tests.agent.gateway import hold
from tests.doubles.kong.admin import Call
from tests.doubles.kong.faults import Fault


def settle_in(gateway: Gateway) -> str:
    """Somebody else's entities; their fingerprint."""
    service, consumer = str(uuid4()), str(uuid4())
    gateway.admin("PUT", f"/services/{service}", {"name": "theirs", "url": "http://127.0.0.1:9"})
    gateway.admin(
        "PUT",
        f"/routes/{uuid4()}",
        {"name": "theirs", "hosts": ["theirs.localhost"], "service": {"id": service}},
    )
    gateway.admin(
        "PUT", f"/plugins/{uuid4()}", {"name": "key-auth", "service": {"id": service}, "tags": ["imp-like"]}
    )
    gateway.admin("PUT", f"/plugins/{uuid4()}", {"name": "correlation-id"})
    gateway.admin("PUT", f"/consumers/{consumer}", {"username": "them"})
    gateway.admin("PUT", f"/consumers/{consumer}/key-auth/{uuid4()}", {"key": "their-key"})
    return gateway.fingerprint()


def writes_of(gateway: Gateway) -> list[tuple[str, str]]:
    """The writes so far: method and kind."""
    return [(call.method, call.steps[0]) for call in gateway.kong.faults.writes()]


def test_a_fresh_publish_is_one_write_per_entity_in_waves(db: Gateway, upstream: Upstreams) -> None:
    spec = three_services(upstream.port)
    assert db.memory.apply(spec).changes == 22
    assert db.counts() == {"services": 3, "routes": 13, "plugins": 6}
    kinds = [kind for _, kind in writes_of(db)]
    assert sorted(kinds[:4]) == ["routes", "services", "services", "services"]
    assert kinds[4:17] == ["routes"] * 10 + ["plugins"] * 3
    assert {method for method, _ in writes_of(db)} == {"PUT"}
    assert kinds[-1] == "plugins"
    assert str(db.kong.faults.writes()[-1].body).count("request-termination") == 1


def test_at_most_eight_calls_are_open_at_once(db: Gateway) -> None:
    db.kong.faults.on(lambda call: call.method == "PUT", *[Fault(delay_s=0.01)] * 40)
    db.memory.apply(*[three_services(9) for _ in range(3)])
    assert 2 <= db.kong.faults.open_most <= 8


def test_everybody_else_s_entities_are_left_alone(db: Gateway, upstream: Upstreams) -> None:
    before = settle_in(db)
    spec = with_keys(upstream.port, key("one", "key-one"))
    db.publish(spec)
    db.publish(withdrawn(spec, generation=2))
    db.publish(changed(spec, generation=3))
    db.memory.apply(absent(spec, generation=4))
    assert db.counts() == {}
    assert db.fingerprint() == before


@pytest.mark.parametrize("kind", ["services", "routes"])
def test_a_taken_name_is_refused_and_its_owner_untouched(db: Gateway, upstream: Upstreams, kind: str) -> None:
    spec = live(port=upstream.port)
    service = spec.services[0]
    name = f"imp.{spec.publish_id}.{service.id if kind == 'services' else service.routes[0].id}"
    body = (
        {"name": name, "url": "http://127.0.0.1:9"}
        if kind == "services"
        else {"name": name, "hosts": ["x.localhost"]}
    )
    db.admin("PUT", f"/{kind}/{uuid4()}", body)
    before, good = db.fingerprint(), live(port=upstream.port)
    applied = db.memory.apply(spec, good)
    why = applied.refused[spec.publish_id]
    assert (why.code, why.entity, why.field) == ("name_conflict", f"{kind.rstrip('s')} {name}", "name")
    assert db.fingerprint() == before
    assert list(db.driver.observe().carried) == [good.publish_id]
    assert db.ask(good.host).status == 200


def test_a_key_that_somebody_else_has_is_refused_without_saying_it(db: Gateway, upstream: Upstreams) -> None:
    settle_in(db)
    spec = with_keys(upstream.port, key("one", "their-key"))
    (why,) = db.memory.apply(spec).refused.values()
    assert (why.code, why.field) == ("name_conflict", "key")
    assert "their-key" not in str(why)
    assert "their-key" not in why.entity
    assert db.counts() == {}


def test_what_was_refused_halfway_goes_back_to_what_stood(db: Gateway, upstream: Upstreams) -> None:
    spec = with_keys(upstream.port, key("one", "key-one"))
    db.publish(spec)
    settle_in(db)
    before = [db.kong.own(kind) for kind in ("services", "routes", "keyauth_credentials")]
    bad = with_keys(upstream.port, key("one", "their-key"), generation=2, host=spec.host)
    assert list(db.memory.apply(bad.model_copy(update={"publish_id": spec.publish_id})).refused) == [
        spec.publish_id
    ]
    after = [db.kong.own(kind) for kind in ("services", "routes", "keyauth_credentials")]
    assert [[row["id"] for row in kind] for kind in after] == [[row["id"] for row in kind] for kind in before]
    assert db.ask(spec.host, headers={"apikey": "key-one"}).status == 200
    assert db.driver.observe().carried[spec.publish_id] == ShownState(generation=1, digest=spec.digest)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=503, retry_after="1"),
        Fault(status=429, retry_after="1"),
        Fault(status=0),
    ],
)
@pytest.mark.parametrize("number", [1, 4, 7])
def test_f9_what_is_passing_is_tried_again(
    db: Gateway, upstream: Upstreams, fault: Fault, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("agent.drivers.kong.admin_api.time.sleep", pauses.append)
    db.kong.faults.on_write(number, fault)
    spec = live(port=upstream.port)
    assert db.memory.apply(spec).refused == {}
    assert db.ask(spec.host).status == 200
    # The double sleeps too, for no time at all.
    (pause,) = [row for row in pauses if row]
    assert pause == 1.0 if fault.retry_after else 0.05 < pause < 0.2


def test_f9_who_stays_away_is_unreachable_and_nothing_is_refused(
    db: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.drivers.kong.admin_api.PAUSES_S", (0.01, 0.01, 0.01))
    db.kong.faults.on(lambda call: call.method == "PUT", *[Fault(status=503)] * 8)
    with pytest.raises(Unreachable, match="answered 503 for PUT /") as problem:
        db.memory.apply(live())
    assert problem.value.code == "admin_busy"


def test_f9_another_answer_is_final_and_names_entity_and_field(db: Gateway) -> None:
    spec = live(host="a_b.*.localhost")
    (why,) = db.memory.apply(spec).refused.values()
    assert isinstance(why, Refused)
    assert (why.code, why.field) == ("gateway_refused", "hosts")
    assert why.entity.startswith(f"route imp.{spec.publish_id}.")
    assert "invalid wildcard" in str(why)
    tried = [call.path for call in db.kong.faults.writes() if call.method == "PUT"]
    assert len(set(tried)) == len(tried)
    assert db.counts() == {}


@pytest.mark.parametrize("number", range(1, 8))
def test_f10_a_lost_answer_makes_no_conflict_and_no_twin(
    db: Gateway, upstream: Upstreams, number: int
) -> None:
    db.kong.faults.on_write(number, Fault(status=0, after=True))
    spec = live(port=upstream.port)
    assert db.memory.apply(spec).refused == {}
    assert db.counts() == {"services": 1, "routes": 4, "plugins": 4}
    assert db.ask(spec.host).status == 200


def dies_at(number: int) -> Callable[[Call], bool]:
    carried = iter(range(1, 1000))

    def after(call: Call) -> bool:
        return call.method in {"PUT", "DELETE"} and next(carried) >= number

    return after


@pytest.mark.parametrize("number", range(1, 7))
def test_f7_who_is_killed_after_k_writes_completes_the_generation(
    db: Gateway, upstream: Upstreams, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = live(port=upstream.port)
    db.publish(old)
    new = changed(live(old.publish_id, port=upstream.port, host=old.host), generation=2)
    monkeypatch.setattr("agent.drivers.kong.admin_api.PAUSES_S", ())
    db.kong.faults.on(dies_at(number), *[Fault(status=0)] * 50)
    with pytest.raises(Unreachable):
        db.memory.apply(new)
    assert db.ask(old.host).status == 200
    db.kong.faults.clear()
    fresh = Gateway(db.kong)
    fresh.publish(new)
    assert fresh.counts() == {"services": 1, "routes": 4, "plugins": 4}
    assert fresh.driver.observe().carried == {new.publish_id: ShownState(generation=2, digest=new.digest)}


def publish_with_preferred_catch_all(port: int) -> Spec:
    """A publish with one route, /. A catch-all on / would win: of equal routes Kong takes the largest id."""
    while True:
        spec = live(port=port)
        route_id = spec.services[0].routes[0].id
        if own_id(spec.publish_id, "route:rest") > own_id(spec.publish_id, f"route:{route_id}"):
            return spec


@pytest.mark.parametrize("number", range(1, 7))
def test_f7_who_is_killed_within_a_withdrawal_leaves_callers_the_upstream_or_410(
    db: Gateway, upstream: Upstreams, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They never meet a 404."""
    spec = publish_with_preferred_catch_all(upstream.port)
    db.publish(spec)
    monkeypatch.setattr("agent.drivers.kong.admin_api.PAUSES_S", ())
    db.kong.faults.on(dies_at(number), *[Fault(status=0)] * 50)
    with pytest.raises(Unreachable):
        db.memory.apply(withdrawn(spec, generation=2))
    assert db.ask(spec.host).status in {200, 410}
    db.kong.faults.clear()
    Gateway(db.kong).publish(withdrawn(spec, generation=2))
    assert db.ask(spec.host).status == 410


@pytest.mark.parametrize("kind", ["routes", "services", "plugins"])
def test_f26_what_another_hand_deletes_or_changes_is_seen_and_healed(
    db: Gateway, upstream: Upstreams, kind: str
) -> None:
    spec, second_spec = live(port=upstream.port), live(port=upstream.port)
    db.publish(spec, second_spec)
    for entity in [row for row in db.kong.own("routes") if row["service"] and spec.host in row["hosts"]]:
        db.admin("DELETE", f"/routes/{entity['id']}")
    victim = next(row for row in db.kong.own(kind) if f"imp-publish:{spec.publish_id}" in row["tags"])
    db.admin(
        "PATCH", f"/{kind}/{victim['id']}", {"enabled": False} if kind != "routes" else {"strip_path": True}
    )
    carried = db.driver.observe().carried
    assert (carried[spec.publish_id].digest, carried[second_spec.publish_id].digest) == (
        "",
        second_spec.digest,
    )
    assert db.memory.apply(spec).changes in {1, 2}
    db.driver.verify(db.memory.good[spec.publish_id])
    assert db.ask(spec.host).status == 200
    assert db.driver.observe().carried[spec.publish_id].digest == spec.digest


def test_two_agents_on_one_database_write_nothing_against_each_other(
    db: Gateway, upstream: Upstreams
) -> None:
    spec = live(port=upstream.port)
    db.publish(spec)
    second = Gateway(db.kong)
    assert second.memory.apply(spec).changes == 0
    db.publish(withdrawn(spec, generation=2))
    assert second.memory.apply(spec).changes == 0
    assert second.memory.apply(withdrawn(spec, generation=2)).changes == 0
    assert db.memory.apply(withdrawn(spec, generation=2)).changes == 0


def test_a_plugin_without_a_scope_is_never_sent(db: Gateway) -> None:
    plugin = next(
        entity
        for entity in routing.live_entities(hold(live()), routing.Options())
        if entity.kind == "plugins"
    )
    with pytest.raises(AssertionError, match="has no scope"):
        Admin(db.kong.admin_url).put(plugin.with_body(service=None, route=None, consumer=None))
    assert db.kong.faults.writes() == []


def test_kong_sends_nothing_to_an_upstream_twice(db: Gateway, upstream: Upstreams) -> None:
    """It would repeat a request after a time-out too."""
    db.publish(live(port=upstream.port))
    services = [json.loads(call.body) for call in db.kong.faults.writes() if call.steps[0] == "services"]
    assert services
    assert {service["retries"] for service in services} == {0}
