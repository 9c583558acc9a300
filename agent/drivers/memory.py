"""A gateway in memory, for tests: it can refuse, be slow or be away, and two agents can share it."""

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
    Observed,
    PinnedSpec,
    Refused,
    ShownState,
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

    carried: dict[UUID, PinnedSpec] = field(default_factory=dict)
    refuse: dict[UUID, Refused] = field(default_factory=dict)
    unproved: set[UUID] = field(default_factory=set)
    away: bool = False
    apply_s: float = 0.0
    auth_modes: tuple[AuthMode, ...] = tuple(AuthMode)
    in_force: bool = True
    altered: bool = False
    """Whether somebody else changed its files; the next change repairs them."""
    changes: list[set[UUID]] = field(default_factory=list)
    """The publishes of each change that really wrote something, oldest first."""
    before: Callable[[str], None] = lambda _point: None
    """Called at `apply`, `swap` (writes follow) and `verify`; a test may raise from it."""
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemorySetup:
    """A gateway in the agent's own process; each start empties it, and heartbeats fill it again."""

    name = "memory"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """No options."""

    def options(self, arguments: argparse.Namespace) -> dict[str, str]:  # noqa: ARG002 (the protocol's shape)
        """Nothing to remember."""
        return {}

    def prepare(self, state: Path, options: dict[str, str], *, node: str) -> None:
        """Nothing to write."""

    def next_step(self, state: Path) -> str:  # noqa: ARG002 (the protocol's shape)
        """None: the gateway runs within the agent."""
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

    def start(self) -> None:
        """Nothing to begin."""

    def stop(self) -> None:
        """Nothing to end."""

    def reserved(self) -> tuple[str, ...]:
        """Nothing: it has no ports."""
        return ()

    def apply(self, desired: Sequence[Desired]) -> Applied:
        """Take every goal that is not refused, in one change."""
        gateway = self.gateway
        with gateway.lock:
            self._reach("apply")
            time.sleep(gateway.apply_s)
            ahead = ahead_of(desired, self._carried())
            applicable = [goal for goal in desired if goal.publish_id not in ahead]
            refused = {
                goal.publish_id: refusal for goal in applicable if (refusal := self._refusal(goal.wanted))
            }
            standing = [
                self._fallback(goal) if goal.publish_id in refused else goal.wanted for goal in applicable
            ]
            differing = {
                pinned_spec.publish_id: pinned_spec
                for pinned_spec in standing
                if pinned_spec and not self._carries(pinned_spec)
            }
            self._reach("swap")
            self._swap(differing)
            gateway.altered = False
        return Applied(changes=len(differing), refused=refused, ahead=ahead)

    def observe(self, *, hasty: bool = False) -> Observed:  # noqa: ARG002 (it never waits)
        """The specs in memory."""
        self._reach("observe")
        return Observed(carried=self._carried(), in_force=self.gateway.in_force)

    def verify(self, pinned_spec: PinnedSpec) -> Evidence:
        """Right unless a test says otherwise."""
        self._reach("verify")
        if pinned_spec.publish_id in self.gateway.unproved:
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
        """As the test has set it."""
        return self.gateway.altered

    def _reach(self, point: str) -> None:
        self.gateway.before(point)
        if self.gateway.away:
            raise Unreachable("The gateway is away.")

    def _refusal(self, pinned_spec: PinnedSpec) -> Refused | None:
        try:
            refuse_auth_except(pinned_spec.spec, *self.gateway.auth_modes)
        except Refused as problem:
            return problem
        return self.gateway.refuse.get(pinned_spec.publish_id)

    def _carried(self) -> dict[UUID, ShownState]:
        return {
            publish: ShownState(generation=pinned_spec.spec.generation, digest=pinned_spec.spec.digest)
            for publish, pinned_spec in self.gateway.carried.items()
        }

    def _fallback(self, goal: Desired) -> PinnedSpec | None:
        carried = self.gateway.carried.get(goal.publish_id)
        return goal.fallback_over(carried.spec.generation if carried else 0)

    def _carries(self, pinned_spec: PinnedSpec) -> bool:
        carried = self.gateway.carried.get(pinned_spec.publish_id)
        return carried is None if pinned_spec.spec.state == State.ABSENT else carried == pinned_spec

    def _swap(self, differing: dict[UUID, PinnedSpec]) -> None:
        for publish, pinned_spec in differing.items():
            self.gateway.carried.pop(publish, None)
            if pinned_spec.spec.state != State.ABSENT:
                self.gateway.carried[publish] = pinned_spec
        if differing:
            self.gateway.changes.append(set(differing))
