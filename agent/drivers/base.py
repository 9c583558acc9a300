"""The protocol between the agent's single writer and one kind of gateway, and its errors."""

import argparse
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import UUID

from agent.protocol.bounds import bounded, is_digest
from agent.protocol.messages import Evidence
from agent.protocol.spec import AuthMode, Spec, Upstream, Wire

DEFAULT_PORTS = {"http": 80, "https": 443}

Addresses = dict[str, tuple[str, ...]]
"""`host:port` of each upstream → the addresses it resolved to inside the fence."""


class Refused(Exception):
    """The gateway will never take this: final.

    `entity` and `field` name the guilty part, `code` is stable.
    """

    def __init__(self, message: str, *, code: str, entity: str = "", field: str = "") -> None:
        super().__init__(message)
        self.code, self.entity, self.field = code, entity, field


class Unreachable(Exception):
    """The gateway did not answer, or did not take it in time: worth trying again."""

    def __init__(self, message: str, *, code: str = "unreachable") -> None:
        super().__init__(message)
        self.code = code


class Unproved(Unreachable):
    """The gateway took the change, but callers do not meet it yet."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="not_proved")


class SetupFailed(Exception):
    """The driver cannot be used on this machine with these options; the text is for the operator."""


class PinnedSpec(Wire):
    """A spec with its upstreams' pinned addresses, and the host that proves it ("" proves nothing)."""

    spec: Spec
    addresses: Addresses = {}
    probe_host: str = ""

    @property
    def publish_id(self) -> UUID:
        """The publish that the spec is of."""
        return self.spec.publish_id


@dataclass(frozen=True, kw_only=True)
class Desired:
    """The spec that the gateway should have of one publish, and the one that stands when it refuses."""

    wanted: PinnedSpec
    fallback: PinnedSpec | None = None

    @property
    def publish_id(self) -> UUID:
        """The publish that the goal is for."""
        return self.wanted.publish_id

    def fallback_over(self, generation: int) -> PinnedSpec | None:
        """The fallback; None when the gateway carries a higher generation (0: none), which stays."""
        return self.fallback if self.fallback and self.fallback.spec.generation >= generation else None


@dataclass(frozen=True, kw_only=True)
class Applied:
    """The outcome of a change.

    `changes` is the number of writes. `refused`: the gateway took none of these publishes; the fallback
    stands, or what the gateway carried. `ahead`: left alone, because the gateway carries a higher generation
    (given here), as when another agent wrote it or this agent's state was lost. `unanswered`: the gateway did
    not say in time whether it took them; the others are done.
    """

    changes: int
    refused: Mapping[UUID, Refused] = field(default_factory=dict)
    ahead: Mapping[UUID, int] = field(default_factory=dict)
    unanswered: Set[UUID] = frozenset()


@dataclass(frozen=True, kw_only=True)
class ShownState:
    """What the gateway's own configuration says of one publish.

    Anybody may have written it, so what is no generation or no digest does not travel.
    """

    generation: int
    digest: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "generation", bounded(self.generation))
        object.__setattr__(self, "digest", self.digest if is_digest(self.digest) else "")


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What the gateway's configuration carries. `in_force` is False when the gateway runs something else."""

    carried: Mapping[UUID, ShownState]
    in_force: bool


@dataclass(frozen=True, kw_only=True)
class Description:
    """The state of the gateway's admin side, and the gateway's own description."""

    ok: bool
    error: str = ""
    version: str = ""
    mode: str = ""


class Driver(Protocol):
    """One gateway. Only the worker thread calls `apply` and `verify`; any thread may call the rest."""

    name: str
    proxy_url: str

    def start(self) -> None:
        """Begin to serve the gateway; before anything else, and only by the one agent of a state folder.

        Raises OSError.
        """

    def stop(self) -> None:
        """End; the gateway goes on with what it has."""

    def reserved(self) -> tuple[str, ...]:
        """The `host:port` pairs of the gateway that no upstream may be."""

    def apply(self, desired: Sequence[Desired]) -> Applied:
        """Make all of it true in one change, writing only what differs. Raises Unreachable.

        Publishes that are not named stay.
        """

    def observe(self, *, hasty: bool = False) -> Observed:
        """Read back what the gateway carries. Raises Unreachable.

        `hasty` is for callers that must not wait long for a gateway that hangs.
        """

    def verify(self, pinned_spec: PinnedSpec) -> Evidence:
        """Prove that callers meet this spec, without reaching an upstream.

        Raises Unproved when they do not within the deadline.
        """

    def describe(self) -> Description:
        """For the heartbeat; never raises."""

    def is_empty(self) -> bool:
        """True when the gateway is this agent's alone and has lost everything.

        Cheap; False when in doubt; never raises.
        """

    def is_altered(self) -> bool:
        """True when somebody else changed what only this agent writes; the next `apply` puts it right.

        Cheap; never raises.
        """


class Setup(Protocol):
    """How a kind of driver is chosen on the command line, prepared at enrolment and made at each start."""

    name: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the driver's own options to `enroll`."""

    def options(self, arguments: argparse.Namespace) -> dict[str, str]:
        """The options to remember. Raises SetupFailed."""

    def prepare(self, state: Path, options: dict[str, str], *, node: str) -> None:
        """Write what the gateway needs to start; called once, at enrolment."""

    def next_step(self, state: Path) -> str:
        """The command that the operator runs after the enrolment, "" for none."""

    def create(self, state: Path, options: dict[str, str], *, node: str) -> Driver:
        """The driver for a run of the agent with this id. Raises SetupFailed."""


def ahead_of(desired: Sequence[Desired], carried: Mapping[UUID, ShownState]) -> dict[UUID, int]:
    """The publishes that the gateway carries at a higher generation than desired, with that generation."""
    specs = [goal.wanted.spec for goal in desired]
    return {
        spec.publish_id: shown.generation
        for spec in specs
        if (shown := carried.get(spec.publish_id)) and shown.generation > spec.generation
    }


def upstream_key(upstream: Upstream) -> str:
    """The key of an upstream in `Addresses`."""
    return f"{upstream.host}:{upstream.port}"


def authority_of(upstream: Upstream) -> str:
    """The upstream's Host header: with its port, unless that is the scheme's own."""
    host = f"[{upstream.host}]" if ":" in upstream.host else upstream.host
    return host if upstream.port == DEFAULT_PORTS.get(upstream.scheme) else f"{host}:{upstream.port}"


def refuse_auth_except(spec: Spec, *modes: AuthMode) -> None:
    """Raise Refused for an auth mode that the driver cannot enforce: no publish is served open instead."""
    if spec.auth.mode not in modes:
        raise Refused(
            f"This gateway driver cannot enforce auth mode {spec.auth.mode}.",
            code="auth_mode_unsupported",
            entity="auth",
            field="mode",
        )
