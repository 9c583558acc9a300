"""One change of several publishes, step by step: new clusters, then routes, then the old clusters' end.

Each publish goes by itself: what Envoy refuses or does not answer of one holds up none of the others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from agent.drivers.envoy.discovery import Discovery
from agent.drivers.envoy.entries import Entry, Parts
from agent.drivers.envoy.messages import Kind
from agent.drivers.envoy.stream import Change


@dataclass(kw_only=True)
class Outcome:
    """The end of a change."""

    changes: int = 0
    """How many resources were sent or removed."""
    taken: dict[UUID, Parts] = field(default_factory=dict)
    refused: dict[UUID, str] = field(default_factory=dict)
    """Envoy's reasons. It keeps what it had of these."""
    unanswered: set[UUID] = field(default_factory=set)


def bring(discovery: Discovery, parts: Mapping[UUID, Parts], *, timeout_s: float) -> Outcome:
    """Bring these publishes to Envoy, and wait for its word on each. Raises NotConnected."""
    outcome = Outcome(taken=dict(parts))
    for step in (_clusters, _ends, _routes):
        # A host that one publish gives up may be another's new one: ends come before routes.
        changes = {publish: step(discovery, publish, goal) for publish, goal in outcome.taken.items()}
        _take(
            discovery,
            {publish: change for publish, change in changes.items() if change.keys},
            outcome,
            timeout_s,
        )
    return outcome


def drop_old_clusters(discovery: Discovery, parts: Mapping[UUID, Parts], *, timeout_s: float) -> int:
    """Remove every cluster of these publishes that their parts do not name; the number of them."""
    unused = {
        (Kind.CLUSTER, name)
        for publish, needed in parts.items()
        for name in discovery.names(Kind.CLUSTER, publish)
        if name not in needed.clusters
    }
    if unused:
        discovery.want([Change(kind=Kind.CLUSTER, removals=tuple(name for _kind, name in unused))])
        discovery.wait(unused, timeout_s=timeout_s)
    return len(unused)


def _clusters(discovery: Discovery, _publish: UUID, parts: Parts) -> Change:
    return Change(kind=Kind.CLUSTER, upserts=_lacking(discovery, parts.clusters.values()))


def _ends(discovery: Discovery, publish: UUID, parts: Parts) -> Change:
    return Change(kind=Kind.SCOPE, removals=() if parts.scope else discovery.names(Kind.SCOPE, publish))


def _routes(discovery: Discovery, _publish: UUID, parts: Parts) -> Change:
    return Change(kind=Kind.SCOPE, upserts=_lacking(discovery, [parts.scope] if parts.scope else []))


def _lacking(discovery: Discovery, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(entry for entry in entries if not discovery.has(entry))


def _take(discovery: Discovery, changes: Mapping[UUID, Change], outcome: Outcome, timeout_s: float) -> None:
    """Send the changes, and sort out the publishes whose change was not taken."""
    before = {key: discovery.desired(key) for change in changes.values() for key in change.keys}
    discovery.want(list(changes.values()))
    answers = discovery.wait(before, timeout_s=timeout_s)
    for publish, change in changes.items():
        outcome.changes += len(change.keys)
        reasons = [answers.get(key) for key in change.keys]
        if refusal := next(filter(None, reasons), ""):
            outcome.refused[publish] = refusal
            discovery.restore({key: before[key] for key in change.keys})
        elif None in reasons:
            outcome.unanswered.add(publish)
        else:
            continue
        del outcome.taken[publish]
