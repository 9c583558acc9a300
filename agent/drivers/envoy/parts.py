"""The parts that each publish puts into Envoy's files, how they become documents, and which parts stay.

Pure functions.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from agent.drivers.base import Desired, PinnedSpec, Refused, ShownState, Unreachable
from agent.drivers.envoy import auth, files, resources
from agent.drivers.envoy.admin_api import Kind
from agent.drivers.envoy.documents import Document
from agent.drivers.envoy.resources import Resource


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of one publish in Envoy's files."""

    publish: str
    host: Resource | None
    clusters: tuple[Resource, ...]
    providers: Mapping[str, Resource]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One publish's new parts, and those that stand when Envoy refuses them."""

    publish_id: UUID
    wanted: Parts
    fallback: Parts | None
    """None when nothing stands, or when the files differ from what Envoy serves."""


@dataclass(frozen=True, kw_only=True)
class FiledParts:
    """The publishes in the files, compared with what Envoy serves: files from a backup are older."""

    parts: Mapping[UUID, Parts]
    says: Mapping[UUID, ShownState]
    served: Mapping[UUID, ShownState]

    @classmethod
    def of(cls, current: Mapping[Kind, Document], served: Mapping[UUID, ShownState]) -> "FiledParts":
        """Read once for each change."""
        return cls(parts=_parts_in(current), says=in_files(current[Kind.ROUTES]), served=served)

    def generation(self, publish: UUID) -> int:
        """The generation that Envoy serves; 0 for none."""
        return self.served[publish].generation if publish in self.served else 0

    def standing(self, publish: UUID) -> Parts | None:
        """The parts of a publish that Envoy serves, when the files tell."""
        return self.parts.get(publish) if self.says.get(publish) == self.served.get(publish) else None

    def without(self, known: Collection[UUID]) -> list[Parts]:
        """The parts of all publishes but the known ones, which stay as they are.

        The agent knows nothing of them (its state was lost), or may not change them.

        Raises Unreachable when that is not what Envoy serves: what was withdrawn would be live again.
        """
        publishes = (self.served.keys() | self.says.keys()).difference(known)
        if unknown := [
            publish for publish in publishes if self.served.get(publish) != self.says.get(publish)
        ]:
            words = (
                "Envoy's files are older than what it serves, as after a restored backup, "
                f"and the control plane has not yet sent {len(unknown)} publishes."
            )
            raise Unreachable(words, code="files_too_old")
        return [self.parts[publish] for publish in self.says if publish not in known]


def in_files(routes: Document) -> dict[UUID, ShownState]:
    """The publishes in the route file."""
    return shown_in(str(host.get("name")) for host in files.virtual_hosts(routes))


def shown_in(names: Iterable[str]) -> dict[UUID, ShownState]:
    """The publishes in the names of virtual hosts."""
    return dict(shown for name in names if (shown := resources.shown_by(name)))


def choices_of(desired: Sequence[Desired], filed: FiledParts) -> tuple[list[Choice], dict[UUID, Refused]]:
    """The choices to ask Envoy about, and the publishes refused before.

    A refused publish keeps what stands, if any.
    """
    choices: list[Choice] = []
    refused: dict[UUID, Refused] = {}
    for goal in desired:
        publish_id, wanted = goal.publish_id, None
        fallback = filed.standing(publish_id)
        try:
            if standby := goal.fallback_over(filed.generation(publish_id)):
                fallback = _parts(standby)
            wanted = fallback if goal.wanted is goal.fallback else _parts(goal.wanted)
        except Refused as problem:
            refused[publish_id], wanted = problem, fallback
        choices += [Choice(publish_id=publish_id, wanted=wanted, fallback=fallback)] if wanted else []
    return choices, refused


def _parts(pinned_spec: PinnedSpec) -> Parts:
    return Parts(
        publish=str(pinned_spec.publish_id),
        host=resources.virtual_host(pinned_spec),
        clusters=tuple(files.typed_cluster(cluster) for cluster in resources.clusters(pinned_spec)),
        providers=auth.providers(pinned_spec.spec),
    )


def _parts_in(current: Mapping[Kind, Document]) -> dict[UUID, Parts]:
    clusters, providers = defaultdict[str, list[Resource]](list), defaultdict[str, dict[str, Resource]](dict)
    for cluster in current[Kind.CLUSTERS].resources:
        clusters[resources.publish_of(cluster)].append(cluster)
    for name, provider in files.providers(current[Kind.TOKENS]).items():
        providers[resources.publish_in(name)][name] = provider
    parts: dict[UUID, Parts] = {}
    for host in files.virtual_hosts(current[Kind.ROUTES]):
        if shown := resources.shown_by(str(host.get("name"))):
            publish = str(shown[0])
            parts[shown[0]] = Parts(
                publish=publish, host=host, clusters=tuple(clusters[publish]), providers=providers[publish]
            )
    return parts


def merged(parts: list[Parts]) -> tuple[list[Resource], list[Resource], dict[str, Resource]]:
    """Virtual hosts, clusters and issuers, sorted so that the same set always makes the same version."""
    ordered = sorted(parts, key=lambda part: part.publish)
    clusters = {str(cluster["name"]): cluster for part in ordered for cluster in part.clusters}
    providers = {name: provider for part in ordered for name, provider in part.providers.items()}
    return (
        [part.host for part in ordered if part.host],
        [clusters[name] for name in sorted(clusters)],
        providers,
    )


def target_of(kept: list[Parts], standing: Mapping[UUID, Parts]) -> dict[Kind, Document]:
    """The documents that make Envoy serve exactly this."""
    hosts, clusters, providers = merged([*kept, *standing.values()])
    return {
        Kind.ROUTES: Document.of([files.route_configuration(hosts)]),
        Kind.CLUSTERS: Document.of(clusters),
        Kind.TOKENS: Document.of([files.token_filter(providers)]),
    }


def with_old_clusters(old: Document, new: Document) -> Document:
    """The clusters that old and new routes need; the new document itself when it has them all."""
    known = {str(cluster.get("name")): cluster for cluster in (*old.resources, *new.resources)}
    if len(known) == len(new.resources):
        return new
    return Document.of([known[name] for name in sorted(known)])


def with_old_issuers(old: Document, new: Document) -> Document:
    """As `with_old_clusters`, for the issuers of the token filter."""
    known = files.providers(old) | files.providers(new)
    return new if len(known) == len(files.providers(new)) else Document.of([files.token_filter(known)])
