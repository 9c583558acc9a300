"""The fence, applied to whole specs: resolves upstreams, pins their addresses, and keeps every door of this machine shut. Nothing else resolves names."""

import socket
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass

from agent.drivers.base import Addresses, Refused, Unreachable, upstream_key
from agent.protocol import fence
from agent.protocol.spec import Spec, Upstream

RESOLVE_S = 3.0
"""How long one batch waits for its names; a slow name server must not hold up the other publishes."""

Resolver = Callable[[str, int], list[fence.Address]]


@dataclass(frozen=True, kw_only=True)
class Guard:
    """The fence of one cluster with the ports of this agent, its gateway and the control plane taken out."""

    rules: fence.Fence
    own_ports: frozenset[int]

    @classmethod
    def of(cls, networks: Iterable[str], reserved: Iterable[str]) -> "Guard":
        """Build from CIDR networks and `host:port` texts. Raises ValueError for a network that is none."""
        reserved = tuple(reserved)
        endpoints = [fence.split_endpoint(text) for text in reserved]
        own = frozenset(port for host, port in endpoints if _is_local_name(host))
        return cls(rules=fence.Fence.of(networks, reserved), own_ports=own)

    def check(self, host: str, port: int, *, resolver: Resolver = fence.resolve) -> tuple[str, ...]:
        """The addresses to pin. Raises fence.FenceRefused."""
        addresses = fence.check(host, port, self.rules, resolver=resolver)
        # A server on 0.0.0.0 or 127.0.0.1 may be reached by any spelling of this machine, so its port is shut on all of them.
        if port in self.own_ports and any(is_own_address(address) for address in addresses):
            raise fence.FenceRefused("reserved", f"{host}:{port} is a port of the gateway or of imp-gateway itself.")
        return tuple(str(address) for address in addresses)


class Pinner:
    """Resolves the upstreams of many specs side by side, each checked against the fence."""

    def __init__(self, *, resolver: Resolver = fence.resolve) -> None:
        self._resolver = resolver
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolve")

    def pin(self, specs: Iterable[Spec], guard: Guard) -> list[Addresses | Refused | Unreachable]:
        """Per spec, in order: the addresses to pin, or why there are none."""
        listed = [_upstreams(spec) for spec in specs]
        distinct = {upstream_key(upstream): upstream for upstreams in listed for upstream in upstreams}
        futures = {key: self._pool.submit(guard.check, one.host, one.port, resolver=self._resolver) for key, one in distinct.items()}
        deadline = time.monotonic() + RESOLVE_S
        return [_gather({key: futures[key] for key in map(upstream_key, upstreams)}, deadline) for upstreams in listed]

    def close(self) -> None:
        """Let go of look-ups that are still on their way."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def is_own_address(address: fence.Address) -> bool:
    """True when the address belongs to this machine: only then can a socket be bound to it."""
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True


def _is_local_name(host: str) -> bool:
    try:
        return host == "" or any(is_own_address(address) for address in fence.resolve(host, 0))
    except (OSError, UnicodeError):
        return False


def _upstreams(spec: Spec) -> list[Upstream]:
    return list({upstream_key(service.upstream): service.upstream for service in spec.services}.values())


def _gather(futures: dict[str, Future[tuple[str, ...]]], deadline: float) -> Addresses | Refused | Unreachable:
    addresses: Addresses = {}
    for key, future in futures.items():
        try:
            addresses[key] = future.result(timeout=max(0.0, deadline - time.monotonic()))
        except fence.FenceRefused as problem:
            return _judge(key, problem)
        except TookTooLong:
            return Unreachable(f"The name server did not answer for {key} within {RESOLVE_S:.0f} s.", code="resolver_slow")
    return addresses


def _judge(key: str, problem: fence.FenceRefused) -> Refused | Unreachable:
    cause = problem.__cause__
    if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
        return Unreachable(f"The name server cannot answer for {key} at the moment.", code="resolver_unavailable")
    return Refused(str(problem), code=problem.code, entity=f"upstream {key}", field="host")
