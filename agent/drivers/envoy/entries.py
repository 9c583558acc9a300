"""Resources on their way to Envoy: name, version and bytes, and the parts that one publish consists of."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from agent.drivers.base import PinnedSpec, ShownState
from agent.drivers.envoy import resources
from agent.drivers.envoy.messages import Kind, Resource, content_hash, encoded


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One resource. Equal versions mean equal content."""

    kind: Kind
    name: str
    version: str
    body: bytes

    @property
    def key(self) -> "Key":
        """What Envoy knows the resource by."""
        return self.kind, self.name


Key = tuple[Kind, str]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What Envoy needs to serve one publish. No scope: the publish is absent."""

    scope: Entry | None = None
    clusters: Mapping[str, Entry]

    @property
    def entries(self) -> list[Entry]:
        """All of them."""
        return [*self.clusters.values(), *([self.scope] if self.scope else [])]


def entry(kind: Kind, resource: Resource, *, prefix: str = "") -> Entry:
    """A resource ready to be sent. Raises Refused."""
    version = f"{prefix}{content_hash(resource)}"
    return Entry(kind=kind, name=str(resource["name"]), version=version, body=encoded(kind, resource))


def parts_of(pinned_spec: PinnedSpec) -> Parts:
    """The parts of a publish. Raises Refused.

    The scope's version begins with generation and digest, so that what Envoy runs tells both.
    """
    clusters = [entry(Kind.CLUSTER, cluster) for cluster in resources.clusters(pinned_spec)]
    scope = resources.scope(pinned_spec)
    spec = pinned_spec.spec
    return Parts(
        scope=entry(Kind.SCOPE, scope, prefix=f"{spec.generation}:{spec.digest}:") if scope else None,
        clusters={cluster.name: cluster for cluster in clusters},
    )


def shown_by(version: str) -> ShownState:
    """Generation and digest in a scope's version; generation 0 in a version of somebody else."""
    generation, _, remainder = version.partition(":")
    digest = remainder.partition(":")[0]
    return ShownState(generation=int(generation[:20]) if generation.isdecimal() else 0, digest=digest)


def publish_in(name: str) -> UUID | None:
    """The publish in the name of a scope or cluster of ours; None in another's."""
    prefix, _, remainder = name.partition(":")
    try:
        return UUID(remainder.partition(":")[0]) if prefix == "imp" else None
    except ValueError:
        return None
