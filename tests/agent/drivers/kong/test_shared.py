"""Two Kong nodes on one database, each with an agent: neither undoes what the other wrote during a gate."""

from collections.abc import Callable, Iterator

import pytest

from agent.drivers.base import ShownState, Unproved
from agent.drivers.kong import proof
from agent.protocol.spec import Spec
from tests.agent.doubles import Upstreams, absent, live, withdrawn
from tests.agent.drivers.kong.gateway import Gateway, changed, key, with_keys
from tests.doubles.kong.node import Kong


@pytest.fixture
def pair() -> Iterator[tuple[Gateway, Gateway]]:
    """Two nodes on one database."""
    first = Kong().start()
    second = Kong(store=first.store).start()
    yield Gateway(first), Gateway(second)
    first.stop()
    second.stop()


def at_the_gate(
    monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object], *, passes: bool = True
) -> None:
    """While an agent waits for its node to be closed, something else happens, once."""
    waited: list[None] = []

    def prove_closed(*_: object) -> None:
        if waited:
            return
        waited.append(None)
        meanwhile()
        if not passes:
            raise Unproved("Callers do not meet it.")

    monkeypatch.setattr(proof, "prove_closed", prove_closed)


@pytest.mark.parametrize("passes", [True, False])
def test_a_newer_generation_of_another_agent_stays(
    pair: tuple[Gateway, Gateway], upstream: Upstreams, monkeypatch: pytest.MonkeyPatch, passes: bool
) -> None:
    first, second = pair
    spec = with_keys(upstream.port, key("one", "key-one"))
    withdrawn_spec = withdrawn(spec, generation=2)
    at_the_gate(monkeypatch, lambda: first.publish(withdrawn_spec), passes=passes)
    applied = second.memory.apply(spec)
    assert (applied.refused, applied.ahead) == ({}, {spec.publish_id: 2})
    assert [node.ask(spec.host, "/x", headers={"apikey": "key-one"}).status for node in pair] == [410, 410]
    assert [node.driver.observe().carried for node in pair] == [
        {spec.publish_id: ShownState(generation=2, digest=withdrawn_spec.digest)}
    ] * 2


def test_what_another_agent_removed_is_not_written_again(
    pair: tuple[Gateway, Gateway], upstream: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    spec = with_keys(upstream.port, key("one", "key-one"))
    at_the_gate(monkeypatch, lambda: first.memory.apply(absent(spec, generation=2)))
    applied = second.memory.apply(spec)
    # Nobody can tell the generation of what is gone: it is left to the proof, which does not find it, and to
    # the next try.
    assert (applied.refused, applied.ahead) == ({}, {})
    assert first.counts() == {}
    assert first.ask(spec.host, "/x", headers={"apikey": "key-one"}).status == 404


def test_neither_does_a_later_stage_of_another_publish_undo_anything(
    pair: tuple[Gateway, Gateway], upstream: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    waiting, second_spec = with_keys(upstream.port, key("one", "key-one")), live(port=upstream.port)
    second.publish(second_spec)
    again = changed(second_spec, generation=3)
    at_the_gate(monkeypatch, lambda: first.publish(again))
    # Withdrawing has two stages and no gate: the second one waits with the others.
    applied = second.memory.apply(waiting, withdrawn(second_spec, generation=2))
    assert applied.ahead == {second_spec.publish_id: 3}
    assert [
        first.ask(spec.host, headers={"apikey": "key-one"}).status for spec in (waiting, second_spec)
    ] == [
        200,
        200,
    ]


def test_the_same_generation_of_two_agents_is_finished_by_one(
    pair: tuple[Gateway, Gateway], upstream: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    spec: Spec = with_keys(upstream.port, key("one", "key-one"))
    at_the_gate(monkeypatch, lambda: first.publish(spec))
    second.publish(spec)
    assert [node.ask(spec.host, headers={"apikey": "key-one"}).status for node in pair] == [200, 200]
    assert second.driver.observe().carried == {spec.publish_id: ShownState(generation=1, digest=spec.digest)}
