"""A publish that asks for credentials is never open without them.

Not for a moment, whichever Kong rebuilds first, router or plugins.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from agent.protocol.spec import Auth, Spec
from tests.agent.doubles import Upstreams, absent, live, make_service, until, withdrawn
from tests.agent.drivers.kong.gateway import Gateway, changed, key, route, with_keys, with_tokens
from tests.agent.gateway import Answer
from tests.doubles.kong.node import Kong

ORDERS = {
    "strict": (0.0, 0.0),
    "plugins first": (0.1, 0.02),
    "router first": (0.02, 0.1),
    "router at once": (0.0, 0.1),
    "plugins at once": (0.1, 0.0),
}
QUICK = {("plugins first", "postgres"), ("router first", "postgres"), ("router at once", "off")}
CASES = [
    pytest.param(order, mode, marks=() if (order, mode) in QUICK else (pytest.mark.long,))
    for order in ORDERS
    for mode in ("postgres", "off")
]


every_order = pytest.mark.parametrize(("order", "mode"), CASES)


@contextmanager
def watched(gateway: Gateway, *specs: Spec) -> Iterator[Counter[int]]:
    """Ask all the time without credentials, and with another publish's; the answers by status."""
    statuses: Counter[int] = Counter()
    stop = threading.Event()

    def ask(headers: dict[str, str]) -> None:
        # A pause, so that Kong and the driver have a turn too.
        while not stop.wait(0.001):
            for spec in specs:
                answer: Answer = gateway.ask(spec.host, "/x", headers=headers)
                statuses[answer.status] += 1

    pollers = [threading.Thread(target=ask, args=(headers,)) for headers in ({}, {"apikey": "a-stranger-s"})]
    for poller in pollers:
        poller.start()
    try:
        yield statuses
        # Long enough for everything to become visible.
        time.sleep(0.15)
        until(lambda: sum(statuses.values()) > 20, description="enough was asked")
    finally:
        stop.set()
        for poller in pollers:
            poller.join()


@pytest.fixture
def late(order: str, mode: str) -> Iterator[Gateway]:
    """A Kong whose two workers see router and plugins in this order."""
    kong = Kong(database=mode).start()
    gateway = Gateway(kong)
    gateway.publish(with_keys(9, key("stranger", "a-stranger-s")))
    routes_s, plugins_s = ORDERS[order]
    kong.late(routes_s=routes_s, plugins_s=plugins_s)
    yield gateway
    kong.stop()


@pytest.fixture
def pair(order: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Gateway, Gateway]]:
    """Two nodes on one database.

    Only the first one has an agent; the other sees in this order, and as late as it says, what that agent
    writes.
    """
    monkeypatch.setattr("agent.drivers.kong.node.MARGIN_S", 0.05)
    first = Kong().start()
    second = Kong(store=first.store).start()
    routes_s, plugins_s = ORDERS[order]
    first.admin.polls_every_s = max(routes_s, plugins_s)
    second.late(routes_s=routes_s, plugins_s=plugins_s)
    yield Gateway(first, is_alone=False), Gateway(second)
    first.stop()
    second.stop()


def keyed(port: int) -> Spec:
    return with_keys(port, key("one", "key-one"))


def never_reached(statuses: Counter[int], upstream: Upstreams) -> None:
    assert sum(statuses.values()) > 20
    assert statuses[200] == 0
    assert upstream.requests == []


@pytest.mark.parametrize("make", [keyed, with_tokens])
@every_order
def test_on_publish(late: Gateway, upstream: Upstreams, make: Callable[[int], Spec]) -> None:
    spec = make(upstream.port)
    with watched(late, spec) as statuses:
        late.publish(spec)
    never_reached(statuses, upstream)
    assert late.ask(spec.host).status == 401


@every_order
def test_on_withdraw_and_publishing_again(late: Gateway, upstream: Upstreams) -> None:
    spec = keyed(upstream.port)
    late.publish(spec)
    with watched(late, spec) as statuses:
        late.publish(withdrawn(spec, generation=2))
        late.publish(changed(spec, generation=3))
    never_reached(statuses, upstream)
    assert statuses[410] > 0


@every_order
def test_on_a_change_of_auth_mode_there_and_back(late: Gateway, upstream: Upstreams) -> None:
    keys = keyed(upstream.port)
    tokens = changed(keys, generation=2, auth=with_tokens(9).auth)
    late.publish(keys)
    with watched(late, keys) as statuses:
        late.publish(tokens)
        late.publish(changed(keys, generation=3))
    never_reached(statuses, upstream)


@every_order
def test_on_publishing_again_in_another_auth_mode(late: Gateway, upstream: Upstreams) -> None:
    keys = keyed(upstream.port)
    late.publish(keys)
    with watched(late, keys) as statuses:
        late.publish(withdrawn(keys, generation=2))
        late.publish(changed(keys, generation=3, auth=with_tokens(9).auth))
    never_reached(statuses, upstream)


@every_order
def test_from_open_to_closed_it_is_closed_once_it_is_proved(late: Gateway, upstream: Upstreams) -> None:
    spec = live(port=upstream.port)
    late.publish(spec)
    late.publish(changed(spec, generation=2, auth=keyed(9).auth))
    with watched(late, spec) as statuses:
        pass
    never_reached(statuses, upstream)


@every_order
def test_when_a_service_joins_and_another_leaves(late: Gateway, upstream: Upstreams) -> None:
    first, second = (
        make_service(upstream.port, routes=[route("/x")]),
        make_service(upstream.port, routes=[route("/y")]),
    )
    auth = keyed(9).auth
    spec = live(services=(second,), auth=auth)
    late.publish(spec)
    with watched(late, spec) as statuses:
        late.publish(changed(spec, generation=2, services=(first, second)))
        late.publish(changed(spec, generation=3, services=(second,)))
    never_reached(statuses, upstream)


@every_order
def test_on_removal(late: Gateway, upstream: Upstreams) -> None:
    spec, before = keyed(upstream.port), late.counts()
    late.publish(spec)
    with watched(late, spec) as statuses:
        late.memory.apply(absent(spec, generation=2))
    never_reached(statuses, upstream)
    assert late.counts() == before
    assert late.ask(spec.host).status == 404


on_another_node = pytest.mark.parametrize("order", ["plugins first", "router first"])


@on_another_node
def test_on_another_node_of_the_database_on_publish(
    pair: tuple[Gateway, Gateway], upstream: Upstreams
) -> None:
    first, second = pair
    spec = keyed(upstream.port)
    with watched(second, spec) as statuses:
        first.publish(spec)
    never_reached(statuses, upstream)
    assert second.ask(spec.host).status == 401


@on_another_node
def test_on_another_node_of_the_database_on_publishing_again_with_keys(
    pair: tuple[Gateway, Gateway], upstream: Upstreams
) -> None:
    first, second = pair
    spec = live(port=upstream.port)
    first.publish(spec)
    first.publish(withdrawn(spec, generation=2))
    until(lambda: second.ask(spec.host).status == 410, description="withdrawn on the other node")
    upstream.requests.clear()
    with watched(second, spec) as statuses:
        first.publish(changed(spec, generation=3, auth=keyed(9).auth))
    never_reached(statuses, upstream)


@on_another_node
def test_on_another_node_of_the_database_on_removal(
    pair: tuple[Gateway, Gateway], upstream: Upstreams
) -> None:
    first, second = pair
    spec = keyed(upstream.port)
    first.publish(spec)
    until(lambda: second.ask(spec.host).status == 401, description="published on the other node")
    with watched(second, spec) as statuses:
        first.memory.apply(absent(spec, generation=2))
    never_reached(statuses, upstream)
    assert first.counts() == {}


def test_services_are_switched_on_only_after_every_worker_refused(db: Gateway, upstream: Upstreams) -> None:
    db.kong.late(routes_s=0.3, plugins_s=0.3)
    spec = keyed(upstream.port)
    db.publish(spec)
    bodies = [call.body for call in db.kong.faults.writes() if call.steps[0] == "services"]
    assert [b'"enabled":false' in body.replace(b" ", b"") for body in bodies] == [True, False]


def test_a_gate_that_is_not_passed_leaves_everything_shut(
    gateway: Gateway, upstream: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.drivers.kong.proof.PROOF_S", 0.3)
    gateway.kong.late(routes_s=0.0, plugins_s=600.0)
    spec, second = keyed(upstream.port), live(port=upstream.port, auth=Auth())
    gateway.memory.apply(spec, second)
    assert gateway.ask(spec.host).status == 404
    assert {
        service["enabled"]
        for service in gateway.kong.own("services")
        if f"imp-publish:{spec.publish_id}" in service["tags"]
    } == {False}
    assert gateway.ask(second.host).status == 200
    gateway.kong.late(routes_s=0.0, plugins_s=0.0)
    gateway.publish(spec)
    assert gateway.ask(spec.host, headers={"apikey": "key-one"}).status == 200
