"""The upstream fence: which addresses a provider's upstream may have. Checked by the control plane and again by the agent.

Without it a provider could route to the gateway's own admin API, to a metadata service or to our database.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class FenceRefused(Exception):
    """An upstream outside the fence. `code` is stable: unresolvable, special_address, not_allowed or reserved."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Fence:
    """Networks that upstreams may be in, and host:port pairs that none may be.

    A wide network never opens a special range: loopback, link-local, multicast, unspecified and reserved addresses count as
    allowed only when a listed network lies wholly inside such a range (say 127.0.0.0/8).
    """

    networks: tuple[Network, ...]
    reserved: frozenset[tuple[Address, int]]

    @classmethod
    def of(cls, networks: Iterable[str], reserved: Iterable[str] = ()) -> "Fence":
        """Build from texts: CIDR networks and `host:port` pairs (hosts that do not resolve reserve nothing)."""
        pairs = frozenset((address, port) for text in reserved for host, port in [split_endpoint(text)] for address in _try_resolve(host, port))
        return cls(networks=tuple(ipaddress.ip_network(text) for text in networks), reserved=pairs)


def resolve(host: str, port: int) -> list[Address]:
    """All addresses of a host, IPv4-mapped ones unwrapped. `*.localhost` is loopback (RFC 6761). Raises OSError."""
    if host == "localhost" or host.endswith(".localhost"):
        return [ipaddress.ip_address("127.0.0.1")]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted({_plain(str(entry[4][0])) for entry in found}, key=str)


def check(host: str, port: int, fence: Fence, *, resolver: Callable[[str, int], list[Address]] = resolve) -> list[Address]:
    """The addresses of an upstream when every one of them is inside the fence; raises FenceRefused otherwise."""
    try:
        addresses = resolver(host, port)
    except (OSError, UnicodeError) as problem:
        raise FenceRefused("unresolvable", f"The upstream host {host} has no address.") from problem
    if not addresses:
        raise FenceRefused("unresolvable", f"The upstream host {host} has no address.")
    for address in addresses:
        _check_address(host, address, port, fence)
    return addresses


def split_endpoint(text: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` as a pair. Raises ValueError."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _check_address(host: str, address: Address, port: int, fence: Fence) -> None:
    if (address, port) in fence.reserved:
        raise FenceRefused("reserved", f"{host}:{port} is a port of the gateway or of imp-gateway itself.")
    inside = [network for network in fence.networks if network.version == address.version and address in network]
    if special := _special_range(address):
        if not any(_special_range(network.network_address) == _special_range(network.broadcast_address) == special for network in inside):
            raise FenceRefused("special_address", f"{host} resolves to {address}, a loopback, link-local or otherwise special address.")
    elif not inside:
        raise FenceRefused("not_allowed", f"{host} resolves to {address}, which is outside the upstream networks allowed for this cluster.")


def _special_range(address: Address) -> str:
    ranges = {
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "this network": address.is_unspecified or (address.version == 4 and int(address) >> 24 == 0),
        "reserved": address.is_reserved,
    }
    return next((name for name, is_inside in ranges.items() if is_inside), "")


def _plain(text: str) -> Address:
    address = ipaddress.ip_address(text.split("%", maxsplit=1)[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _try_resolve(host: str, port: int) -> list[Address]:
    try:
        return resolve(host, port)
    except (OSError, UnicodeError):
        return []
