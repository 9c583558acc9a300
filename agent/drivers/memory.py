"""A gateway in memory, for tests of everything around drivers: can refuse, be slow or be away, and can be shared by two agents."""

import argparse
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from agent.drivers.base import (
    Applied,
    Description,
    Desired,
    Held,
    Observed,
    Refused,
    Seen,
    Unproved,
    Unreachable,
    ahead_of,
    refuse_auth_except,
)
from agent.protocol.messages import Evidence
from agent.protocol.spec import AuthMode, State


@dataclass
class MemoryGateway:
    """The gateway itself, with the switches that tests turn."""

    carried: dict[UUID, Held] = field(default_factory=dict)
    refuse: dict[UUID, Refused] = field(default_factory=dict)
    unproved: set[UUID] = field(default_factory=set)
    away: bool = False
    apply_s: float = 0.0
    auth_modes: tuple[AuthMode, ...] = tuple(AuthMode)
    in_force: bool = True
    altered: bool = False
    """Whether another hand was in its files; the next change puts that right."""
    changes: list[set[UUID]] = field(default_factory=list)
    """The publishes of each change that really wrote something, oldest first."""
    before: Callable[[str], None] = lambda _point: None
    """Called at `apply`, `swap` (writes follow) and `verify`; a test may raise from it."""
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemorySetup:
    """A gateway in the agent's own process; it forgets all at each start and is filled again by heartbeats."""

    name = "memory"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """It has no options."""

    def options(self, arguments: argparse.Namespace) -> dict[str, str]:  # noqa: ARG002 (the protocol's shape)
        """Nothing to remember."""
        return {}

    def prepare(self, state: Path, options: dict[str, str], *, node: str) -> None:
        """Nothing to write."""

    def next_step(self, state: Path) -> str:  # noqa: ARG002 (the protocol's shape)
        """It runs within the agent."""
        return ""

    def create(self, state: Path, options: dict[str, str], *, node: str) -> "MemoryDriver":  # noqa: ARG002 (the protocol's shape)
        """A fresh one."""
        return MemoryDriver()


class MemoryDriver:
    """The driver of a `MemoryGateway`."""

    name = "memory"

    def __init__(self, gateway: MemoryGateway | None = None, *, proxy_url: str = "") -> None:
        self.gateway = gateway or MemoryGateway()
        self.proxy_url = proxy_url

    def reserved(self) -> tuple[str, ...]:
        """Nothing: it has no ports."""
        return ()

    def apply(self, desired: Sequence[Desired]) -> Applied:
        """Take what is not refused, in one change."""
        gateway = self.gateway
        with gateway.lock:
            self._reach("apply")
            time.sleep(gateway.apply_s)
            ahead = ahead_of(desired, self._carried())
            ours = [one for one in desired if one.wanted.spec.publish_id not in ahead]
            refused = {one.wanted.spec.publish_id: why for one in ours if (why := self._refusal(one.wanted))}
            standing = [
                self._fallback(one) if one.wanted.spec.publish_id in refused else one.wanted for one in ours
            ]
            differing = {held.spec.publish_id: held for held in standing if held and not self._carries(held)}
            self._reach("swap")
            self._swap(differing)
            gateway.altered = False
        return Applied(changes=len(differing), refused=refused, ahead=ahead)

    def observe(self, *, hasty: bool = False) -> Observed:  # noqa: ARG002 (it never waits)
        """What it carries."""
        self._reach("observe")
        return Observed(carried=self._carried(), in_force=self.gateway.in_force)

    def verify(self, held: Held) -> Evidence:
        """Right unless a test says otherwise."""
        self._reach("verify")
        if held.spec.publish_id in self.gateway.unproved:
            raise Unproved("The gateway does not serve this generation yet.")
        return Evidence(probes=48, bursts=2)

    def describe(self) -> Description:
        """Fine unless it is away."""
        return Description(
            ok=not self.gateway.away,
            error="The gateway is away." if self.gateway.away else "",
            version="memory/1",
            mode="memory",
        )

    def is_empty(self) -> bool:
        """Never known: another agent may have emptied it."""
        return False

    def is_altered(self) -> bool:
        """As a test says."""
        return self.gateway.altered

    def _reach(self, point: str) -> None:
        self.gateway.before(point)
        if self.gateway.away:
            raise Unreachable("The gateway is away.")

    def _refusal(self, held: Held) -> Refused | None:
        try:
            refuse_auth_except(held.spec, *self.gateway.auth_modes)
        except Refused as problem:
            return problem
        return self.gateway.refuse.get(held.spec.publish_id)

    def _carried(self) -> dict[UUID, Seen]:
        return {
            publish: Seen(generation=held.spec.generation, digest=held.spec.digest)
            for publish, held in self.gateway.carried.items()
        }

    def _fallback(self, one: Desired) -> Held | None:
        there = self.gateway.carried.get(one.wanted.spec.publish_id)
        return one.fallback_over(there.spec.generation if there else 0)

    def _carries(self, held: Held) -> bool:
        there = self.gateway.carried.get(held.spec.publish_id)
        return there is None if held.spec.state == State.ABSENT else there == held

    def _swap(self, differing: dict[UUID, Held]) -> None:
        for publish, held in differing.items():
            self.gateway.carried.pop(publish, None)
            if held.spec.state != State.ABSENT:
                self.gateway.carried[publish] = held
        if differing:
            self.gateway.changes.append(set(differing))
