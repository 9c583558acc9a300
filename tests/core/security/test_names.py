"""Names that hang: whose they are, and whom they may not keep waiting."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

import fence
from core.security import names
from fence.lookups import Bound, Lookups
from publishes import errors
from publishes.verbs import publishing, upstreams
from tests.names import asking
from tests.world import World, add_service

AT_MOST_OF_A_TENANT = 8


@dataclass
class NameServer:
    """Names that end in one of `dead` hang until the test ends, others are loopback; `lookups` lists all."""

    dead: list[str] = field(default_factory=lambda: ["dead.example"])
    lookups: list[str] = field(default_factory=list)


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server, wake = NameServer(), threading.Event()

    def look_up(name: str) -> str:
        server.lookups.append(name)
        if name.endswith(tuple(server.dead)):
            wake.wait(20)
            raise socket.gaierror(socket.EAI_NONAME, "gone")
        return "127.0.0.1"

    monkeypatch.setattr(socket, "getaddrinfo", asking(look_up))
    yield server
    wake.set()
    give_up_at = time.monotonic() + 10
    while any(thread.name == "resolve" for thread in threading.enumerate()):
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def dead_names(world: World, count: int) -> None:
    for number in range(count):
        add_service(
            world.product,
            f"Dead {number}",
            f"/dead{number}",
            [],
            host=f"{number}.{world.tenant.slug}.dead.example",
        )


def test_one_tenant_s_names_that_hang_keep_no_other_tenant_from_publishing(
    world: World, other: World, name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstreams, "LOOK_UP_S", 0.2)
    dead_names(world, 80)
    publish = world.draft()
    for _ in range(10):
        with pytest.raises(errors.UpstreamRefused, match="upstream_refused"):
            publishing.request_publish(world.actor, publish.pk)
    assert sum(thread.name == "resolve" for thread in threading.enumerate()) == AT_MOST_OF_A_TENANT
    assert len([host for host in name_server.lookups if host.endswith("dead.example")]) == AT_MOST_OF_A_TENANT

    publishing.request_publish(other.actor, other.draft().pk)  # its upstreams are addresses
    add_service(other.product, "Named", "/named", [], host="api.live.example")
    publishing.request_publish(other.actor, other.draft(hostname_base="named.localhost").pk)
    assert "api.live.example" in name_server.lookups


def test_names_of_services_that_hang_keep_no_issuer_and_no_agent_waiting(
    world: World, name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tenant in range(20):
        names.UPSTREAMS.find(
            [[f"{number}.of-{tenant}.dead.example" for number in range(8)]], deadline_s=0.01, owner=tenant
        )
    under_way = sum(thread.name == "resolve" for thread in threading.enumerate())
    assert under_way == len(name_server.lookups) == 64
    for pool in (names.ISSUERS, names.AGENTS):
        resolver = pool.find([["api.live.example"]], deadline_s=5, owner="anybody")
        assert [str(address) for address in resolver("api.live.example", 443)] == ["127.0.0.1"]
    with pytest.raises(TimeoutError):
        names.UPSTREAMS.find([["api.live.example"]], deadline_s=0.05, owner="anybody")(
            "api.live.example", 443
        )
    assert names.UPSTREAMS.find([["10.0.0.1", "localhost"]], deadline_s=0)("10.0.0.1", 443)


def test_a_name_that_waits_for_room_is_looked_up_as_soon_as_there_is_some() -> None:
    wake = threading.Event()

    def look_up(name: str, _port: int) -> list[fence.Address]:
        assert name != "dead.example" or wake.wait(20)
        return fence.resolve("127.0.0.1", 0)

    lookups = Lookups(look_up, bound=Bound(in_all=2, per_owner=1))
    with pytest.raises(TimeoutError):
        lookups.find([["dead.example"]], deadline_s=0.05, owner="a")("dead.example", 80)
    with pytest.raises(TimeoutError):
        lookups.find([["live.example"]], deadline_s=0.05, owner="a")("live.example", 80)
    assert lookups.find([["live.example"]], deadline_s=5, owner="b")("live.example", 80)
    threading.Timer(0.1, wake.set).start()
    resolver = lookups.find([["live.example", "dead.example"]], deadline_s=10, owner="a")
    assert resolver("live.example", 80) == resolver("dead.example", 80)


def test_our_own_endpoints_stay_shut_while_their_name_hangs(name_server: NameServer) -> None:
    for dead in ([], ["db.example"]):
        name_server.dead = dead
        around = names.fence_around(["127.0.0.0/8"], ["db.example:5432"], deadline_s=0.2)
        with pytest.raises(fence.FenceRefused, match="of imp-gateway itself"):
            fence.check("127.0.0.1", 5432, around)
