"""Which addresses a user's host may have: public ones, and of others only those that operators named.

This is the SSRF guard. Without it a provider could route to the gateway's own admin API, to a cloud's
metadata service or to our database. The control plane checks upstreams and its own fetches by these rules,
and each agent checks upstreams again.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], list[Address]]

PUBLIC = ("0.0.0.0/0", "::/0")
"""Every public address, and no other: a range that is not public opens only by a network inside that range.
"""


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


_METADATA = _networks(
    *(
        "169.254.169.254/32",
        "169.254.170.2/32",
        "169.254.170.23/32",
        "fd00:ec2::/64",
    ),  # AWS, and with it most clouds; ECS; EKS
    *("fd20:ce::254/128", "fe80::a9fe:a9fe/128"),  # Google, OpenStack
    *("168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32"),  # Azure, Alibaba, Oracle
    *("169.254.0.23/32", "169.254.42.42/32", "fd00:42::42/128"),  # Tencent, Scaleway
)
"""Where clouds hand out credentials of the machine. Nothing opens these."""

_PRIVATE = _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")

_SPECIAL = _networks(
    *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    *(
        "::1/128",
        "::/128",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    ),
    *("::/3", "4000::/2", "8000::/1"),  # all but 2000::/3, of which alone public addresses are assigned
)
"""Other ranges that the internet does not route (IANA's special-purpose registries).

Narrow ranges come before those that hold them.
"""


class FenceRefused(Exception):
    """A host outside the fence. `code` is stable: unresolvable, special_address, not_allowed or reserved."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Fence:
    """Networks that hosts may be in, and host:port pairs that none may be.

    A wide network opens the public addresses in it. A private, shared, loopback, link-local or otherwise
    special range opens only by a network wholly inside that range (say 10.0.0.0/8, or 127.0.0.0/8). A cloud's
    metadata addresses never open.
    """

    networks: tuple[Network, ...]
    reserved: frozenset[tuple[Address, int]]

    @classmethod
    def of(
        cls, networks: Iterable[str], reserved: Iterable[str] = (), *, resolver: Resolver | None = None
    ) -> "Fence":
        """Build from CIDR networks and `host:port` pairs (a host without an address reserves nothing)."""
        endpoints = [split_endpoint(text) for text in reserved]
        pairs = frozenset(
            (address, port)
            for host, port in endpoints
            for address in _try_resolve(host, port, resolver or resolve)
        )
        return cls(networks=_networks(*networks), reserved=pairs)


def resolve(host: str, port: int) -> list[Address]:
    """All addresses of a host, IPv4-mapped ones unwrapped. Raises OSError.

    `*.localhost` is loopback (RFC 6761).
    """
    if host == "localhost" or host.endswith(".localhost"):
        return [ipaddress.ip_address("127.0.0.1")]
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted({_plain(str(entry[4][0])) for entry in entries}, key=str)


def check(host: str, port: int, fence: Fence, *, resolver: Resolver = resolve) -> list[Address]:
    """The addresses of a host when every one of them is inside the fence; raises FenceRefused otherwise."""
    try:
        addresses = resolver(host, port)
    except (OSError, UnicodeError) as problem:
        raise FenceRefused("unresolvable", f"The host {host} has no address.") from problem
    if not addresses:
        raise FenceRefused("unresolvable", f"The host {host} has no address.")
    for address in addresses:
        for effective in (address, *_carried(address)):
            _check_address(host, effective, port, fence)
    return addresses


def split_endpoint(text: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` as a pair. Raises ValueError."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def endpoints_of(urls: str, *, port: int) -> list[str]:
    """The `host:port` pairs of URLs: URLs separated by `;`, each with one host or several separated by `,`.

    `port` is meant where a URL names none. A URL without a host (a Unix socket) names nothing.
    """
    netlocs = [urlsplit(url.strip()).netloc.rpartition("@")[2] for url in urls.split(";")]
    return [
        _with_port(host, port)
        for netloc in netlocs
        for host in netloc.split(",")
        if host and not host.startswith(("%", ":"))
    ]


def is_metadata(network: Network) -> bool:
    """Whether nothing in the network can be opened: it holds a cloud's metadata addresses alone."""
    return any(_lies_in(network, closed) for closed in _METADATA)


def _check_address(host: str, address: Address, port: int, fence: Fence) -> None:
    if (address, port) in fence.reserved:
        raise FenceRefused("reserved", f"{host}:{port} is a port of the gateway or of imp-gateway itself.")
    if _range_of(address, _METADATA):
        raise FenceRefused(
            "special_address",
            f"{host} resolves to {address}, a cloud's metadata address, which nothing opens.",
        )
    inside = [network for network in fence.networks if address in network]
    if special := _range_of(address, _PRIVATE + _SPECIAL):
        inside = [network for network in inside if _lies_in(network, special)]
    if not inside and special in _SPECIAL:
        raise FenceRefused(
            "special_address",
            f"{host} resolves to {address}, a loopback, link-local or otherwise special address.",
        )
    if not inside:
        raise FenceRefused(
            "not_allowed", f"{host} resolves to {address}, which is outside the networks that are allowed."
        )


def _range_of(address: Address, ranges: tuple[Network, ...]) -> Network | None:
    return next((network for network in ranges if address in network), None)


def _lies_in(inner: Network, outer: Network) -> bool:
    return inner.network_address in outer and inner.broadcast_address in outer


def _carried(address: Address) -> list[Address]:
    """The IPv4 addresses inside an IPv6 address of 6to4 or Teredo.

    Translated addresses, 64:ff9b::/96, are special as a whole.
    """
    if not isinstance(address, ipaddress.IPv6Address):
        return []
    return [*([address.sixtofour] if address.sixtofour else []), *(address.teredo or ())]


def _plain(text: str) -> Address:
    address = ipaddress.ip_address(text.split("%", maxsplit=1)[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _with_port(host: str, port: int) -> str:
    name, _, named_port = host.rpartition(":")
    return host if name and named_port.isdigit() else f"{host.rstrip(':')}:{port}"


def _try_resolve(host: str, port: int, resolver: Resolver) -> list[Address]:
    try:
        return resolver(host, port)
    except (OSError, UnicodeError):
        return []
