"""One connected Envoy: what it runs, what is on its way to it, and what it refused."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from queue import SimpleQueue
from uuid import UUID

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, Resource
from google.protobuf.any_pb2 import Any

from agent.drivers.base import ShownState
from agent.drivers.envoy.entries import Entry, Key, publish_in, shown_by
from agent.drivers.envoy.messages import Kind


@dataclass(frozen=True, kw_only=True)
class Change:
    """Resources of one kind that Envoy takes in one step: all of them or, when it refuses one, none."""

    kind: Kind
    upserts: tuple[Entry, ...] = ()
    removals: tuple[str, ...] = ()

    @property
    def keys(self) -> frozenset[Key]:
        """Everything that the change touches."""
        names = (*(entry.name for entry in self.upserts), *self.removals)
        return frozenset((self.kind, name) for name in names)

    def response(self, nonce: str) -> DeltaDiscoveryResponse:
        """The message that tells it to Envoy, whose answer names the nonce."""
        return DeltaDiscoveryResponse(
            type_url=self.kind,
            nonce=nonce,
            removed_resources=self.removals,
            resources=[
                Resource(
                    name=entry.name,
                    version=entry.version,
                    resource=Any(type_url=entry.kind, value=entry.body),
                )
                for entry in self.upserts
            ],
        )


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Envoy's reason against one version of a resource."""

    version: str | None
    reason: str


@dataclass(eq=False)
class Stream:
    """Guarded by the lock of its `Discovery`, but for the outbox."""

    outbox: SimpleQueue[DeltaDiscoveryResponse | None] = field(default_factory=SimpleQueue)
    running: dict[Key, str] = field(default_factory=dict)
    refusals: dict[Key, Refusal] = field(default_factory=dict)
    subscribed: set[Kind] = field(default_factory=set)
    unanswered: dict[str, Change] = field(default_factory=dict)
    in_flight: Counter[Key] = field(default_factory=Counter)
    came_back: bool = False
    """It ran before this agent did."""
    shown: dict[UUID, ShownState] = field(default_factory=dict)
    names: defaultdict[tuple[Kind, UUID], set[str]] = field(default_factory=lambda: defaultdict(set))

    is_open: bool = False
    """It was sent what comes last."""

    @property
    def is_answered(self) -> bool:
        """Whether it has answered to everything that it was sent."""
        return self.subscribed == set(Kind) and not self.unanswered

    @property
    def is_settled(self) -> bool:
        """Whether it has answered to everything, what comes last included."""
        return self.is_answered and self.is_open

    def awaits(self, keys: Iterable[Key]) -> bool:
        """Whether any of these is on its way."""
        return any(key in self.in_flight for key in keys)

    def runs(self, key: Key, version: str | None) -> None:
        """Remember that a resource runs in this version, or not at all."""
        self.refusals.pop(key, None)
        if version is None:
            self.running.pop(key, None)
        else:
            self.running[key] = version
        kind, name = key
        publish = publish_in(name)
        if publish is None:
            return
        if version is None:
            self.names[kind, publish].discard(name)
        else:
            self.names[kind, publish].add(name)
        if kind == Kind.SCOPE:
            self.shown.pop(publish, None)
            if version is not None:
                self.shown[publish] = shown_by(version)

    def lacks(self, entry: Entry, *, is_from_disk: bool) -> bool:
        """Whether this Envoy has to be sent it at its connection.

        A disk may be a restored one: what an Envoy that came back has newer stays, and what it has not may
        have been removed since. The control plane knows.
        """
        running = self.running.get(entry.key)
        if running is None:
            return not (self.came_back and is_from_disk)
        is_older = entry.kind == Kind.SCOPE and (
            shown_by(running).generation > shown_by(entry.version).generation
        )
        return running != entry.version and not is_older
