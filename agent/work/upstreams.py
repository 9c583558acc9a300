"""The fence, applied to whole specs: pins resolved upstream addresses, keeps this machine's ports shut."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass

import fence
from agent.drivers.base import Addresses, Refused, Unreachable, upstream_key
from agent.protocol.spec import Spec, Upstream
from fence.lookups import RESOLVE_S, LastKnown, Lookups


@dataclass(frozen=True, kw_only=True)
class Guard:
    """The fence of one cluster, without the ports of this agent, its gateway and the control plane."""

    rules: fence.Fence
    own_ports: frozenset[int]

    @classmethod
    def of(
        cls, networks: Iterable[str], reserved: Iterable[str], *, resolver: fence.Resolver = fence.resolve
    ) -> "Guard":
        """Build from CIDR networks and `host:port` texts. Raises ValueError for a network that is none."""
        rules = fence.Fence.of(networks, reserved := tuple(reserved), resolver=resolver)
        anywhere = {port for host, port in map(fence.split_endpoint, reserved) if host == ""}
        return cls(
            rules=rules,
            own_ports=frozenset(
                anywhere | {port for address, port in rules.reserved if is_own_address(address)}
            ),
        )

    def check(self, host: str, port: int, *, resolver: fence.Resolver = fence.resolve) -> tuple[str, ...]:
        """The addresses to pin. Raises fence.FenceRefused."""
        addresses = fence.check(host, port, self.rules, resolver=resolver)
        # A server on 0.0.0.0 or 127.0.0.1 may be reached by any address of this machine, so its port is shut
        # on all of them.
        if port in self.own_ports and any(is_own_address(address) for address in addresses):
            raise fence.FenceRefused(
                "reserved", f"{host}:{port} is a port of the gateway or of imp-gateway itself."
            )
        return tuple(str(address) for address in addresses)


class Pinner:
    """Resolves the upstreams of many specs side by side, each checked against the fence. For all threads."""

    def __init__(self, *, resolver: fence.Resolver = fence.resolve) -> None:
        self._lookups = Lookups(resolver)
        self._last_known = LastKnown()

    def pin(
        self, specs: Iterable[Spec], *, networks: Iterable[str], reserved: Iterable[str]
    ) -> list[Addresses | Refused | Unreachable]:
        """Per spec, in order: the addresses to pin, or the reason for none. Raises ValueError as `Guard.of`.

        Takes no longer than `RESOLVE_S`.
        """
        listed, reserved = [_upstreams(spec) for spec in specs], tuple(reserved)
        if not any(listed):
            return [{} for _ in listed]
        reserved_hosts = [host for host, _ in map(fence.split_endpoint, reserved) if host]
        resolver = self._lookups.find(
            [reserved_hosts, *([upstream.host for upstream in upstreams] for upstreams in listed)]
        )
        guard = Guard.of(networks, reserved, resolver=self._last_known.through(resolver))
        return [_pinned(upstreams, guard, resolver) for upstreams in listed]


def is_own_address(address: fence.Address) -> bool:
    """True when the address belongs to this machine: only then a socket can be bound to it."""
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True


def _upstreams(spec: Spec) -> list[Upstream]:
    return list({upstream_key(service.upstream): service.upstream for service in spec.services}.values())


def _pinned(
    upstreams: Iterable[Upstream], guard: Guard, resolver: fence.Resolver
) -> Addresses | Refused | Unreachable:
    addresses: Addresses = {}
    for upstream in upstreams:
        key = upstream_key(upstream)
        try:
            addresses[key] = guard.check(upstream.host, upstream.port, resolver=resolver)
        except fence.FenceRefused as problem:
            return _judge(key, problem)
    return addresses


def _judge(key: str, problem: fence.FenceRefused) -> Refused | Unreachable:
    cause = problem.__cause__
    if isinstance(cause, TimeoutError):
        return Unreachable(
            f"The name server did not answer for {key} within {RESOLVE_S:.0f} s.", code="resolver_slow"
        )
    if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
        return Unreachable(
            f"The name server cannot answer for {key} at the moment.", code="resolver_unavailable"
        )
    return Refused(str(problem), code=problem.code, entity=f"upstream {key}", field="host")
