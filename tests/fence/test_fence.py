"""The upstreams that are let in: every way to spell an address that must stay shut, and the few open ones."""

import ipaddress
import socket

import pytest

import fence
from agent.drivers.base import Refused, Unreachable
from agent.protocol.spec import Spec
from agent.work.upstreams import Guard, Pinner, is_own_address
from fence import Address, Fence, FenceRefused
from tests.agent.doubles import live, make_service

EVERYWHERE = ("0.0.0.0/0", "::/0")


def code_of(host: str, networks: tuple[str, ...], *, port: int = 8080, reserved: tuple[str, ...] = ()) -> str:
    try:
        fence.check(host, port, Fence.of(networks, reserved))
    except FenceRefused as problem:
        return problem.code
    return "open"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.2",
        "127.1",
        "127.255.255.254",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "localhost",
        "api.localhost",
        "LOCALHOST",
        "::1",
        "0:0:0:0:0:0:0:1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "0.0.0.0",  # noqa: S104
        "0",
        "0.1.2.3",
        "::",
        "::ffff:0.0.0.0",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fe80::1%1",
        "224.0.0.1",
        "ff02::1",
        "240.0.0.1",
        "255.255.255.255",
        "64:ff9b::7f00:1",
        "::127.0.0.1",
    ],
)
def test_allowing_every_network_opens_no_special_address(host: str) -> None:
    assert code_of(host, EVERYWHERE) == "special_address"


@pytest.mark.parametrize(
    ("host", "networks", "expected"),
    [
        ("1.1.1.1", EVERYWHERE, "open"),
        ("2606:4700:4700::1111", EVERYWHERE, "open"),
        ("1.1.1.1", ("10.0.0.0/8",), "not_allowed"),
        ("10.1.2.3", EVERYWHERE, "not_allowed"),
        ("::ffff:10.1.2.3", EVERYWHERE, "not_allowed"),
        ("2002:a01:203::1", EVERYWHERE, "special_address"),
        ("172.31.255.254", EVERYWHERE, "not_allowed"),
        ("192.168.0.1", EVERYWHERE, "not_allowed"),
        ("100.64.0.1", EVERYWHERE, "not_allowed"),
        ("fd00::1", EVERYWHERE, "not_allowed"),
        ("10.1.2.3", ("8.0.0.0/5",), "not_allowed"),
        ("fd00::1", ("f000::/4",), "not_allowed"),
        ("10.1.2.3", (*EVERYWHERE, "10.0.0.0/8"), "open"),
        ("100.64.0.1", ("100.64.0.0/10",), "open"),
        ("198.18.0.1", EVERYWHERE, "special_address"),
        ("2001:db8::1", EVERYWHERE, "special_address"),
        ("5f00::1", EVERYWHERE, "special_address"),
        ("10.1.2.3", ("10.0.0.0/8",), "open"),
        ("::ffff:10.1.2.3", ("10.0.0.0/8",), "open"),
        ("10.1.2.3", ("10.2.0.0/16",), "not_allowed"),
        ("10.1.2.3", (), "not_allowed"),
        ("10.1.2.3", ("::/0",), "not_allowed"),
        ("fd00::1", ("fd00::/8",), "open"),
        ("fd00::1", ("0.0.0.0/0",), "not_allowed"),
        ("127.0.0.1", ("127.0.0.0/8",), "open"),
        ("127.0.0.1", ("127.0.0.1/32",), "open"),
        ("127.0.0.2", ("127.0.0.1/32",), "special_address"),
        ("::ffff:127.0.0.1", ("127.0.0.0/8",), "open"),
        ("127.0.0.1", ("126.0.0.0/7",), "special_address"),
        ("127.0.0.1", ("169.254.0.0/16",), "special_address"),
        ("169.254.169.254", ("127.0.0.0/8",), "special_address"),
        ("169.254.1.1", ("169.254.0.0/16",), "open"),
        ("::1", ("::1/128",), "open"),
        ("::1", ("127.0.0.0/8",), "special_address"),
        ("localhost", ("127.0.0.0/8",), "open"),
        ("no-such-host.invalid", EVERYWHERE, "unresolvable"),
        ("", ("10.0.0.0/8",), "unresolvable"),
        ("a..b", EVERYWHERE, "unresolvable"),
    ],
)
def test_a_range_that_is_not_public_opens_only_by_a_network_inside_it(
    host: str, networks: tuple[str, ...], expected: str
) -> None:
    assert code_of(host, networks) == expected


METADATA = (
    "169.254.169.254",
    "169.254.170.2",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::a9fe:a9fe",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
)


@pytest.mark.parametrize("network", ["itself", "around it", "everywhere"])
@pytest.mark.parametrize("address", METADATA)
def test_nothing_opens_a_cloud_s_metadata_address(address: str, network: str) -> None:
    itself = ipaddress.ip_network(address)
    networks = {
        "itself": (str(itself),),
        "around it": (str(itself.supernet(prefixlen_diff=8)),),
        "everywhere": EVERYWHERE,
    }[network]
    assert code_of(address, networks) == "special_address"
    assert fence.is_metadata(itself)


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        ("postgres://imp:se%40cret@db.example/imp", ["db.example:5432"]),
        ("postgres://imp:secret@db.example:6000/imp?sslmode=require", ["db.example:6000"]),
        ("postgres://imp@a.example:1,b.example/imp", ["a.example:1", "b.example:5432"]),
        (
            "sentinel://:p@a.example:26379;sentinel://[fd00::1];sentinel://[fd00::2]:7",
            ["a.example:26379", "[fd00::1]:5432", "[fd00::2]:7"],
        ),
        ("postgres://%2Fvar%2Frun%2Fpostgresql/imp", []),
        ("postgres:///imp", []),
        ("redis+socket:///run/broker.sock", []),
    ],
)
def test_the_endpoints_of_a_url_are_its_hosts_each_with_its_port(urls: str, expected: list[str]) -> None:
    assert fence.endpoints_of(urls, port=5432) == expected


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "::ffff:127.0.0.1", "2130706433", "0x7f.1", "0177.1"]
)
def test_a_reserved_port_is_shut_however_it_is_spelled(host: str) -> None:
    assert code_of(host, ("127.0.0.0/8",), port=9901, reserved=("127.0.0.1:9901",)) == "reserved"
    assert code_of(host, ("127.0.0.0/8",), port=9902, reserved=("127.0.0.1:9901",)) == "open"


def test_one_address_outside_shuts_the_whole_host() -> None:
    addresses = [ipaddress.ip_address("1.1.1.1"), ipaddress.ip_address("169.254.169.254")]
    with pytest.raises(FenceRefused) as caught:
        fence.check("both.example", 80, Fence.of(EVERYWHERE), resolver=lambda _host, _port: addresses)
    assert caught.value.code == "special_address"


@pytest.mark.parametrize("reserved", ["0.0.0.0:9901", "127.0.0.1:9901", "[::]:9901", "localhost:9901"])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "127.9.9.9", "::1"])
def test_the_agent_shuts_its_own_ports_on_every_address_of_the_machine(host: str, reserved: str) -> None:
    guard = Guard.of(("127.0.0.0/8", "::1/128"), (reserved,))
    with pytest.raises(FenceRefused) as caught:
        guard.check(host, 9901)
    assert caught.value.code == "reserved"
    assert guard.check("127.0.0.3", 9902) == ("127.0.0.3",)


def test_another_machine_may_use_the_same_port_number() -> None:
    guard = Guard.of(("192.0.2.0/24",), ("0.0.0.0:8080",))
    assert not is_own_address(ipaddress.ip_address("192.0.2.77"))
    assert guard.check("192.0.2.77", 8080) == ("192.0.2.77",)


def spec_to(host: str) -> Spec:
    return live(services=(make_service(80, host=host),))


def test_specs_are_pinned_in_their_order_each_with_its_own_reason() -> None:
    def resolver(host: str, port: int) -> list[Address]:
        if host == "later.example":
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        if host == "never.example":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [ipaddress.ip_address(host)]

    pinner = Pinner(resolver=resolver)
    hosts = ("10.0.0.1", "later.example", "never.example", "11.0.0.1")
    good, later, never, outside = pinner.pin(
        [spec_to(host) for host in hosts], networks=("10.0.0.0/8",), reserved=()
    )
    assert good == {"10.0.0.1:80": ("10.0.0.1",)}
    assert isinstance(later, Unreachable)
    assert later.code == "resolver_unavailable"
    assert isinstance(never, Refused)
    assert (never.code, never.entity, never.field) == ("unresolvable", "upstream never.example:80", "host")
    assert isinstance(outside, Refused)
    assert outside.code == "not_allowed"


def test_each_host_is_looked_up_once_per_batch() -> None:
    requested: list[str] = []

    def resolver(host: str, port: int) -> list[Address]:
        requested.append(host)
        return [ipaddress.ip_address("10.0.0.1")]

    pinned = Pinner(resolver=resolver).pin(
        [spec_to("a.example"), spec_to("a.example")], networks=("10.0.0.0/8",), reserved=()
    )
    assert pinned == [{"a.example:80": ("10.0.0.1",)}] * 2
    assert requested == ["a.example"]
