"""Name servers that do not answer: a look-up that hangs is one thread, and holds up nothing else."""

import ipaddress
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from agent.drivers.base import Addresses, Refused, Unreachable
from agent.protocol.spec import Spec
from agent.work.upstreams import Pinner
from fence import Address
from fence.lookups import AT_ONCE, PER_GROUP
from tests.agent.bench import Bench
from tests.agent.doubles import live, make_service, until, withdrawn

TEN = ("10.0.0.0/8", "127.0.0.0/8")
DEAD = [f"{number}.dead.example" for number in range(40)]


@dataclass
class NameServer:
    """Knows every name but those that end in dead.example: their look-ups hang until `wake` is set."""

    requested: list[str] = field(default_factory=list)
    wake: threading.Event = field(default_factory=threading.Event)
    address: str = "10.0.0.1"

    def resolve(self, host: str, _port: int) -> list[Address]:
        self.requested.append(host)
        if host.endswith("dead.example"):
            self.wake.wait(20)
        return [ipaddress.ip_address(host if host.replace(".", "").isdigit() else self.address)]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    monkeypatch.setattr("fence.lookups.RESOLVE_S", 0.2)
    server = NameServer()
    yield server
    server.wake.set()


def to(*hosts: str) -> Spec:
    return live(services=tuple(make_service(80, host=host) for host in hosts))


def pin(pinner: Pinner, *specs: Spec, reserved: tuple[str, ...] = ()) -> list[str | Addresses]:
    pins = pinner.pin(specs, networks=TEN, reserved=reserved)
    return [pin.code if isinstance(pin, (Refused, Unreachable)) else pin for pin in pins]


def test_what_hangs_takes_nothing_from_the_other_publishes(names: NameServer) -> None:
    pinner = Pinner(resolver=names.resolve)
    # Those without a name are not even delayed, and those with one are found beside what hangs.
    assert pin(pinner, to(*DEAD), to("127.0.0.1"), to("live.example")) == [
        "resolver_slow",
        {"127.0.0.1:80": ("127.0.0.1",)},
        {"live.example:80": ("10.0.0.1",)},
    ]
    assert len([host for host in names.requested if host in DEAD]) == PER_GROUP
    for _ in range(3):
        assert pin(pinner, to("live.example")) == [{"live.example:80": ("10.0.0.1",)}]
    assert {thread.daemon for thread in threading.enumerate() if thread.name == "resolve"} == {True}


def test_addresses_in_any_spelling_and_this_machine_s_own_names_are_never_waited_for(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fence.lookups.RESOLVE_S", 0.0)
    hosts = ("127.0.0.1", "localhost", "api.localhost", "127.1", "2130706433", "::ffff:127.0.0.1")
    assert pin(Pinner(), to(*hosts)) == [{f"{host}:80": ("127.0.0.1",) for host in hosts}]
    assert pin(Pinner(resolver=names.resolve), to("0.dead.example")) == ["resolver_slow"]


def test_a_name_that_hangs_is_looked_up_once_whoever_asks_and_told_to_all_when_it_answers(
    names: NameServer,
) -> None:
    pinner = Pinner(resolver=names.resolve)
    for _ in range(3):
        assert pin(pinner, to("0.dead.example"), to("0.dead.example")) == ["resolver_slow"] * 2
    assert names.requested == ["0.dead.example"]
    names.wake.set()
    until(lambda: not pinner._lookups._running, description="it has answered")
    assert pin(pinner, to("0.dead.example")) == [{"0.dead.example:80": ("10.0.0.1",)}]
    assert names.requested == ["0.dead.example"] * 2


def test_one_call_has_a_limited_number_of_look_ups_under_way_and_finds_more_names_than_that(
    names: NameServer,
) -> None:
    pinner = Pinner(resolver=names.resolve)
    assert set(pin(pinner, *[to(host) for host in DEAD])) == {"resolver_slow"}
    assert len(names.requested) == AT_ONCE
    answered_hosts = [f"{number}.live.example" for number in range(AT_ONCE * 2)]
    assert pin(pinner, to(*answered_hosts)) == [{f"{host}:80": ("10.0.0.1",) for host in answered_hosts}]


def test_what_must_stay_shut_stays_shut_while_its_name_hangs(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinner, reserved = Pinner(resolver=names.resolve), ("database.dead.example:80", "127.0.0.1:7001")
    names.wake.set()
    assert pin(pinner, to("10.0.0.1"), reserved=reserved) == ["reserved"]
    names.wake.clear()
    assert pin(pinner, to("10.0.0.1"), to("10.0.0.2"), reserved=reserved) == [
        "reserved",
        {"10.0.0.2:80": ("10.0.0.2",)},
    ]
    assert names.requested.count("database.dead.example") == 2
    monkeypatch.setattr(names, "address", "10.0.0.2")
    names.wake.set()
    until(lambda: not pinner._lookups._running, description="it has answered")
    assert pin(pinner, to("10.0.0.1"), to("10.0.0.2"), reserved=reserved) == [
        {"10.0.0.1:80": ("10.0.0.1",)},
        "reserved",
    ]


def test_a_withdrawal_asks_no_name_server(
    names: NameServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fence.rules.socket.getaddrinfo", names.resolve)
    pinner = Pinner(resolver=names.resolve)
    assert pin(pinner, withdrawn(live(), generation=2), reserved=("control.dead.example:443",)) == [{}]
    bench.reserved = ("control.dead.example:443",)
    bench.open()
    bench.start()
    (result,) = bench.bring(withdrawn(live(), generation=2))
    assert (result.outcome, names.requested) == ("verified", [])
