"""The fence: which addresses a host that a user named may have. Upstreams are checked by the control plane and again by the agent.

Without it a provider could route to the gateway's own admin API, to a metadata service or to our database. The control plane's own
fetches (`core.outbound`) go by the same rules, and by one more: what is not public is not ordinary either.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], list[Address]]


class FenceRefused(Exception):
    """A host outside the fence. `code` is stable: unresolvable, special_address, not_allowed or reserved."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Fence:
    """Networks that hosts may be in, and host:port pairs that none may be.

    A wide network never opens a special range: loopback, link-local, multicast, unspecified and reserved addresses count as
    allowed only when a listed network lies wholly inside such a range (say 127.0.0.0/8). With `public_only` so do private and
    shared ranges, and all else that the internet does not route.
    """

    networks: tuple[Network, ...]
    reserved: frozenset[tuple[Address, int]]
    public_only: bool = False

    @classmethod
    def of(cls, networks: Iterable[str], reserved: Iterable[str] = (), *, public_only: bool = False, resolver: Resolver | None = None) -> "Fence":
        """Build from texts: CIDR networks and `host:port` pairs (hosts that do not resolve reserve nothing)."""
        endpoints = [split_endpoint(text) for text in reserved]
        pairs = frozenset((address, port) for host, port in endpoints for address in _try_resolve(host, port, resolver or resolve))
        return cls(networks=tuple(ipaddress.ip_network(text) for text in networks), reserved=pairs, public_only=public_only)


def resolve(host: str, port: int) -> list[Address]:
    """All addresses of a host, IPv4-mapped ones unwrapped. `*.localhost` is loopback (RFC 6761). Raises OSError."""
    if host == "localhost" or host.endswith(".localhost"):
        return [ipaddress.ip_address("127.0.0.1")]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted({_plain(str(entry[4][0])) for entry in found}, key=str)


def check(host: str, port: int, fence: Fence, *, resolver: Resolver = resolve) -> list[Address]:
    """The addresses of a host when every one of them is inside the fence; raises FenceRefused otherwise."""
    try:
        addresses = resolver(host, port)
    except (OSError, UnicodeError) as problem:
        raise FenceRefused("unresolvable", f"The host {host} has no address.") from problem
    if not addresses:
        raise FenceRefused("unresolvable", f"The host {host} has no address.")
    for address in addresses:
        for meant in (address, *_carried(address)):
            _check_address(host, meant, port, fence)
    return addresses


def split_endpoint(text: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` as a pair. Raises ValueError."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _check_address(host: str, address: Address, port: int, fence: Fence) -> None:
    if (address, port) in fence.reserved:
        raise FenceRefused("reserved", f"{host}:{port} is a port of the gateway or of imp-gateway itself.")
    inside = [network for network in fence.networks if network.version == address.version and address in network]
    if special := _special_range(address, fence):
        if not any(_special_range(network.network_address, fence) == _special_range(network.broadcast_address, fence) == special for network in inside):
            raise FenceRefused("special_address", f"{host} resolves to {address}, a loopback, link-local or otherwise special address.")
    elif not inside:
        raise FenceRefused("not_allowed", f"{host} resolves to {address}, which is outside the networks that are allowed.")


def _carried(address: Address) -> list[Address]:
    """The IPv4 addresses that an IPv6 address stands for on its way by 6to4 or Teredo (translated ones, 64:ff9b::/96, are reserved as a whole)."""
    if not isinstance(address, ipaddress.IPv6Address):
        return []
    return [*([address.sixtofour] if address.sixtofour else []), *(address.teredo or ())]


def _special_range(address: Address, fence: Fence) -> str:
    ranges = {
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "this network": address.is_unspecified or (address.version == 4 and int(address) >> 24 == 0),
        "reserved": address.is_reserved,
        "not public": fence.public_only and (not address.is_global or any(address in network for network in _NOT_PUBLIC)),
    }
    return next((name for name, is_inside in ranges.items() if is_inside), "")


# What some versions of Python take for public, so that the answer is the same on all: protocol assignments (Teredo and others), 6to4,
# local translation, documentation, segment routing, and site-local addresses.
_NOT_PUBLIC: tuple[Network, ...] = (
    ipaddress.IPv4Network("192.0.0.0/24"),
    *(ipaddress.IPv6Network(text) for text in ("2001::/23", "2002::/16", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "fec0::/10")),
)


def _plain(text: str) -> Address:
    address = ipaddress.ip_address(text.split("%", maxsplit=1)[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _try_resolve(host: str, port: int, resolver: Resolver) -> list[Address]:
    try:
        return resolver(host, port)
    except (OSError, UnicodeError):
        return []
