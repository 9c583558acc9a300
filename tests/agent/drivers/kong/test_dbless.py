"""A Kong without a database: one load for all publishes, the guilty one named, and a restarted node."""

import hashlib
import json
from typing import Any

import pytest

from agent.drivers.base import ShownState, Unreachable
from agent.drivers.kong.admin_api import Admin
from tests.agent.doubles import Upstreams, live, withdrawn
from tests.agent.drivers.kong.gateway import Gateway, changed, driver_of, key, with_keys, with_tokens
from tests.doubles.kong.admin import NO_HASH
from tests.doubles.kong.faults import Fault


def loads(gateway: Gateway) -> int:
    return len([call for call in gateway.kong.faults.calls if call.method == "POST"])


def test_all_publishes_go_in_one_load_as_a_text_whose_hash_kong_keeps(
    dbless: Gateway, upstream: Upstreams
) -> None:
    specs = [live(port=upstream.port) for _ in range(5)]
    assert dbless.memory.apply(*specs).changes == 1
    assert loads(dbless) == 1
    (call,) = [call for call in dbless.kong.faults.calls if call.method == "POST"]
    assert call.query == {"check_hash": "1", "flatten_errors": "1"}
    text = json.loads(call.body)["config"]
    assert (
        dbless.kong.admin.configuration_hash == hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    )
    assert {dbless.ask(spec.host).status for spec in specs} == {200}


def test_what_is_there_already_is_not_loaded_and_a_304_is_no_change(
    dbless: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = live()
    dbless.publish(spec)
    assert dbless.memory.apply(spec).changes == 0
    assert loads(dbless) == 1
    monkeypatch.setattr("agent.drivers.kong.dbless.is_same", lambda *_: False)
    assert dbless.memory.apply(spec).changes == 0
    assert loads(dbless) == 2


def test_what_was_loaded_while_it_was_read_is_not_believed_under_the_old_hash(
    dbless: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = live(), live()
    dbless.publish(first)
    text = next(json.loads(call.body) for call in dbless.kong.faults.calls if call.method == "POST")
    fresh, listed = driver_of(dbless.kong), Admin.listed

    def listed_late(
        admin: Admin, kinds: list[str], *, tagged: bool
    ) -> list[tuple[str, list[dict[str, Any]]]]:
        monkeypatch.setattr(Admin, "listed", listed)
        dbless.publish(second)
        return admin.listed(kinds, tagged=tagged)

    monkeypatch.setattr(Admin, "listed", listed_late)
    assert len(fresh.observe().carried) == 2
    dbless.admin("POST", "/config?check_hash=1", text)
    assert list(fresh.observe().carried) == [first.publish_id]


@pytest.mark.parametrize("with_state", [True, False])
def test_a_bad_publish_is_named_and_the_others_do_not_suffer(
    dbless: Gateway, upstream: Upstreams, with_state: bool
) -> None:
    standing, bad, good = live(port=upstream.port), live(port=upstream.port), live(port=upstream.port)
    dbless.publish(*[standing, bad] if with_state else [standing])
    broken = live(bad.publish_id, generation=2, port=upstream.port, host="a.*.localhost")
    applied = dbless.memory.apply(broken, good)
    (why,) = applied.refused.values()
    assert list(applied.refused) == [bad.publish_id]
    assert (why.code, why.field) == ("gateway_refused", "hosts.1")
    assert why.entity.startswith(f"route imp.{bad.publish_id}.")
    assert [dbless.ask(spec.host).status for spec in (standing, good, bad)] == [
        200,
        200,
        200 if with_state else 404,
    ]


def test_two_publishes_with_one_key_the_second_is_refused_without_saying_it(
    dbless: Gateway, upstream: Upstreams
) -> None:
    first, second = (
        with_keys(upstream.port, key("one", "same-key")),
        with_keys(upstream.port, key("two", "same-key")),
    )
    third = live(port=upstream.port)
    applied = dbless.memory.apply(first, second, third)
    (why,) = applied.refused.values()
    assert list(applied.refused) == [second.publish_id]
    assert "same-key" not in str(why)
    assert dbless.ask(first.host, headers={"apikey": "same-key"}).status == 200
    assert dbless.ask(third.host).status == 200


def test_a_kong_started_empty_is_noticed_and_filled_again(dbless: Gateway, upstream: Upstreams) -> None:
    open_spec, closed, withdrawn_spec = (
        live(port=upstream.port),
        with_keys(upstream.port, key("one", "key-one")),
        live(port=upstream.port),
    )
    dbless.publish(open_spec, closed, withdrawn_spec)
    dbless.publish(withdrawn(withdrawn_spec, generation=2))
    carried = dbless.driver.observe().carried
    dbless.kong.lose_everything()
    assert dbless.kong.admin.configuration_hash == NO_HASH
    assert dbless.driver.observe().carried == {}
    dbless.memory.apply()
    assert dbless.driver.observe().carried == carried
    assert [dbless.ask(spec.host).status for spec in (open_spec, closed, withdrawn_spec)] == [200, 401, 410]
    assert dbless.ask(closed.host, headers={"apikey": "key-one"}).status == 200


def test_a_kong_started_empty_gets_the_last_good_spec_of_what_it_refuses_now(
    gateway: Gateway, upstream: Upstreams
) -> None:
    spec = live(port=upstream.port)
    gateway.publish(spec)
    gateway.kong.lose_everything()
    gateway.kong.store.plugins = tuple(name for name in gateway.kong.store.plugins if name != "jwt")
    applied = gateway.memory.apply(changed(spec, generation=2, auth=with_tokens(9).auth))
    assert [why.code for why in applied.refused.values()] == ["plugin_missing"]
    assert gateway.ask(spec.host).status == 200
    assert gateway.driver.observe().carried == {spec.publish_id: ShownState(generation=1, digest=spec.digest)}


def test_a_node_that_serves_another_s_configuration_is_not_touched(dbless: Gateway) -> None:
    foreign_configuration = json.dumps(
        {"_format_version": "3.0", "services": [{"name": "theirs", "url": "http://127.0.0.1:9"}]}
    )
    dbless.admin("POST", "/config?check_hash=1", {"config": foreign_configuration})
    before = dbless.fingerprint()
    with pytest.raises(Unreachable, match=r"serves a configuration of its own \(service theirs\)") as problem:
        dbless.memory.apply(live())
    assert problem.value.code == "foreign_configuration"
    assert dbless.fingerprint() == before


def test_a_configuration_of_kinds_that_we_never_read_is_not_wiped_either(dbless: Gateway) -> None:
    dbless.admin(
        "POST",
        "/config?check_hash=1",
        {"config": json.dumps({"_format_version": "3.0", "consumers": [{"username": "them"}]})},
    )
    before = dbless.fingerprint()
    with pytest.raises(Unreachable, match="serves a configuration of its own"):
        dbless.memory.apply(live())
    assert dbless.fingerprint() == before


def test_f9_a_busy_load_is_tried_again_and_a_lost_answer_is_no_harm(
    dbless: Gateway, upstream: Upstreams
) -> None:
    dbless.kong.faults.on(
        lambda call: call.method == "POST", Fault(status=429, retry_after="0"), Fault(status=0, after=True)
    )
    spec = live(port=upstream.port)
    assert dbless.memory.apply(spec).refused == {}
    assert loads(dbless) == 3
    assert dbless.ask(spec.host).status == 200


def test_what_an_agent_without_memory_finds_stays_with_its_keys(dbless: Gateway, upstream: Upstreams) -> None:
    closed, tokens = with_keys(upstream.port, key("one", "key-one")), with_tokens(upstream.port)
    dbless.publish(closed, tokens)
    carried = dbless.driver.observe().carried
    Gateway(dbless.kong).publish(live(port=upstream.port))
    assert {**dbless.driver.observe().carried, **carried} == dbless.driver.observe().carried
    assert dbless.ask(closed.host, headers={"apikey": "key-one"}).status == 200


def test_closed_publishes_are_loaded_shut_and_opened_by_a_second_load(
    dbless: Gateway, upstream: Upstreams
) -> None:
    spec = with_keys(upstream.port, key("one", "key-one"))
    assert dbless.memory.apply(spec).changes == 2
    texts = [
        json.loads(json.loads(call.body)["config"])
        for call in dbless.kong.faults.calls
        if call.method == "POST"
    ]
    assert [text["services"][0]["enabled"] for text in texts] == [False, True]
    assert dbless.driver.observe().carried == {spec.publish_id: ShownState(generation=1, digest=spec.digest)}
    assert dbless.memory.apply(changed(spec, generation=2)).changes == 1
