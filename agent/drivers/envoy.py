"""The Envoy driver: all publishes in files that Envoy watches, checked first, in force only when Envoy's stats say so. The only writer of those files."""

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from agent import proof
from agent.drivers import envoy_auth, envoy_check, envoy_config, envoy_files
from agent.drivers.base import Applied, Description, Desired, Held, Observed, Refused, Seen, Unreachable, ahead_of
from agent.drivers.envoy_admin import Admin, Kind
from agent.drivers.envoy_config import Resource
from agent.drivers.envoy_files import Document, Folder
from agent.protocol.fence import split_endpoint
from agent.protocol.messages import Evidence

PROOF_S = 4.0
LOOK_S = 4.0
"""How long a look waits for files that are being swapped: a heartbeat must not wait for an Envoy that takes nothing."""

WRITTEN = (Kind.TOKENS, Kind.CLUSTERS, Kind.ROUTES)
"""What each change may write; routes name the other two, so they come after and go before them."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What one publish puts into Envoy's files."""

    publish: str
    host: Resource | None
    clusters: tuple[Resource, ...]
    providers: Mapping[str, Resource]


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """One publish's new parts, and what stands when Envoy refuses them."""

    publish_id: UUID
    wanted: Parts
    fallback: Parts | None
    """None when there is nothing, or when what the files say is not what Envoy serves."""


@dataclass(frozen=True, kw_only=True)
class _Filed:
    """What the files say of each publish, held against what Envoy serves: files that were restored from a backup are older."""

    parts: Mapping[UUID, Parts]
    says: Mapping[UUID, Seen]
    served: Mapping[UUID, Seen]

    @classmethod
    def of(cls, there: Mapping[Kind, Document], served: Mapping[UUID, Seen]) -> "_Filed":
        """Read once for each change."""
        return cls(parts=_parts_in(there), says=_in_files(there[Kind.ROUTES]), served=served)

    def generation(self, publish: UUID) -> int:
        """The generation that Envoy serves; 0 for none."""
        return self.served[publish].generation if publish in self.served else 0

    def standing(self, publish: UUID) -> Parts | None:
        """What Envoy serves of it, when the files tell."""
        return self.parts.get(publish) if self.says.get(publish) == self.served.get(publish) else None

    def without(self, known: Collection[UUID]) -> list[Parts]:
        """What stays as it is: the agent knows nothing of it (its state was lost), or it is not its to change.

        Raises Unreachable when that is not what Envoy serves: what was withdrawn would be live again.
        """
        publishes = (self.served.keys() | self.says.keys()).difference(known)
        if unknown := [publish for publish in publishes if self.served.get(publish) != self.says.get(publish)]:
            words = f"Envoy's files are older than what it serves, as after a restored backup, and what {len(unknown)} publishes should be is not told yet."
            raise Unreachable(words, code="files_too_old")
        return [self.parts[publish] for publish in self.says if publish not in known]


class EnvoyDriver:
    """One Envoy, beside this agent, that was started with the bootstrap of `folder`."""

    name = "envoy"

    def __init__(self, *, folder: Folder, proxy: str, admin: str, proxy_url: str, program: Path) -> None:
        self._folder, self._proxy, self._admin_endpoint = folder, proxy, admin
        self._admin, self._program = Admin(admin), program
        self.proxy_url = proxy_url
        self._swapping = threading.Lock()

    def reserved(self) -> tuple[str, ...]:
        """Its public and its admin port."""
        return (self._proxy, self._admin_endpoint)

    def apply(self, desired: Sequence[Desired]) -> Applied:
        """Write what differs: new issuers and clusters, then routes, then without the old ones; each step waits for Envoy to take it."""
        taken, there = self._taken_with_listener(), self._files()
        served = self._served(taken, there)
        ahead = ahead_of(desired, served)
        ours = [one for one in desired if one.wanted.spec.publish_id not in ahead]
        if ahead and not ours:
            return Applied(changes=0, ahead=ahead)
        filed = _Filed.of(there, served)
        choices, refused = _choices(ours, filed)
        standing = {choice.publish_id: choice.wanted for choice in choices}
        kept = filed.without(standing)
        target = _target(kept, standing)
        if not all(document.says_the_same_as(there[kind]) for kind, document in target.items()):
            objections = self._refusals(kept, choices)
            standing = {choice.publish_id: part for choice in choices if (part := choice.fallback if choice.publish_id in objections else choice.wanted)}
            target, refused = (_target(filed.without(standing), standing) if objections else target), refused | objections
        with self._swapping:
            return Applied(changes=self._swap(target, there, taken), refused=refused, ahead=ahead)

    def observe(self, *, hasty: bool = False) -> Observed:  # noqa: ARG002 (it never waits long)
        """What the files say; in force when they are as we wrote them and Envoy runs exactly these versions. When it runs newer ones, what it says itself."""
        # Between a file and Envoy's word that it has taken it, nothing would seem to be in force.
        is_quiet = self._swapping.acquire(timeout=LOOK_S)
        try:
            taken, there = self._admin.taken(), self._files()
        finally:
            if is_quiet:
                self._swapping.release()
        in_force = all(document.intact and document.version == taken[kind] for kind, document in there.items())
        return Observed(carried=self._served(taken, there), in_force=in_force)

    def verify(self, held: Held) -> Evidence:
        """Ask through the public port."""
        host, port = split_endpoint(self._proxy)
        return proof.prove(held, proxy=(_reachable(host), port), deadline_s=PROOF_S)

    def describe(self) -> Description:
        """Fine when the admin interface answers and the listener is there."""
        try:
            version, state = self._admin.server()
            has_routes = bool(self._admin.taken()[Kind.ROUTES])
        except Unreachable as problem:
            return Description(ok=False, error=str(problem), mode="files")
        if state != "LIVE" or not has_routes:
            reason = f"Envoy is {state}." if state != "LIVE" else f"Envoy has not opened its listener at {self._proxy}."
            return Description(ok=False, error=reason, version=version, mode="files")
        return Description(ok=True, version=version, mode="files")

    def is_empty(self) -> bool:
        """Never: Envoy reads what it carries from files of ours."""
        return False

    def _taken_with_listener(self) -> dict[Kind, str]:
        """The versions in force. Waits for our listener: on an older one, without its filters, what asks for credentials would be open."""
        taken, listener = self._admin.taken(), Document.read(self._folder.listeners).version
        if taken[Kind.LISTENER] != listener:
            self._admin.wait_for(Kind.LISTENER, listener)
        return taken

    def _served(self, taken: dict[Kind, str], there: dict[Kind, Document]) -> dict[UUID, Seen]:
        """What Envoy serves, or will as soon as it has read its files. Files from a backup are older than what it runs; then it is asked."""
        routes = there[Kind.ROUTES]
        return _seen(self._admin.virtual_hosts()) if routes.is_older_than(taken[Kind.ROUTES]) else _in_files(routes)

    def _files(self) -> dict[Kind, Document]:
        return {kind: Document.read(self._path(kind)) for kind in WRITTEN}

    def _path(self, kind: Kind) -> Path:
        return {Kind.TOKENS: self._folder.tokens, Kind.CLUSTERS: self._folder.clusters}.get(kind, self._folder.routes)

    def _refusals(self, foreign: list[Parts], choices: list[_Choice]) -> dict[UUID, Refused]:
        """Ask Envoy about what is new; when it objects, find the guilty ones on top of what stands."""
        settled = foreign + [choice.wanted for choice in choices if choice.wanted == choice.fallback]
        # What goes away comes first: a host that one publish gives up may be another's new one.
        candidates = sorted((choice for choice in choices if choice.wanted != choice.fallback), key=lambda choice: choice.wanted.host is not None)

        def refusal(taken: list[_Choice]) -> str:
            ids = {choice.publish_id for choice in taken}
            others = [choice.fallback for choice in candidates if choice.publish_id not in ids and choice.fallback]
            return self._objection([choice.wanted for choice in taken], standing=settled + others)

        guilty = envoy_check.sift(candidates, refusal=refusal)
        return {choice.publish_id: Refused(words, code="gateway_refused", entity=f"publish {choice.publish_id}") for choice, words in guilty}

    def _objection(self, new: list[Parts], *, standing: list[Parts]) -> str:
        """What stands has passed before: only its names and hosts can clash, and its clusters would take most of Envoy's time."""
        hosts, clusters, providers = _merge(new)
        outlines: list[Resource] = [{"name": part.host["name"], "domains": part.host["domains"]} for part in standing if part.host]
        return envoy_check.validate(self._program, hosts=hosts + outlines, clusters=clusters, providers=providers)

    def _swap(self, target: dict[Kind, Document], there: dict[Kind, Document], taken: dict[Kind, str]) -> int:
        """Returns the number of files written."""
        first = [(Kind.TOKENS, _both_issuers(there[Kind.TOKENS], target[Kind.TOKENS])), (Kind.CLUSTERS, _both(there[Kind.CLUSTERS], target[Kind.CLUSTERS]))]
        steps = first + [(kind, target[kind]) for kind in (Kind.ROUTES, Kind.CLUSTERS, Kind.TOKENS)]
        writes = 0
        for kind, document in steps:
            if there[kind].says_the_same_as(document) and there[kind].version == taken[kind]:
                continue
            self._write(kind, document, before=there[kind])
            there, taken, writes = {**there, kind: document}, {**taken, kind: document.version}, writes + 1
        return writes

    def _write(self, kind: Kind, document: Document, *, before: Document) -> None:
        path = self._path(kind)
        document.save(path)
        try:
            self._admin.wait_for(kind, document.version)
        except Unreachable as problem:
            if problem.code == "update_rejected" and before.intact:
                # An Envoy that starts with a bad file serves nothing at all.
                before.save(path)
            raise


def _in_files(routes: Document) -> dict[UUID, Seen]:
    return _seen(str(host.get("name")) for host in envoy_files.virtual_hosts(routes))


def _seen(names: Iterable[str]) -> dict[UUID, Seen]:
    return dict(seen for name in names if (seen := envoy_config.seen_of(name)))


def _choices(desired: Sequence[Desired], filed: _Filed) -> tuple[list[_Choice], dict[UUID, Refused]]:
    choices: list[_Choice] = []
    refused: dict[UUID, Refused] = {}
    for one in desired:
        publish_id, wanted = one.wanted.spec.publish_id, None
        fallback = filed.standing(publish_id)
        try:
            if standby := one.fallback_over(filed.generation(publish_id)):
                fallback = _parts(standby)
            wanted = fallback if one.wanted is one.fallback else _parts(one.wanted)
        except Refused as problem:
            refused[publish_id], wanted = problem, fallback
        choices += [_Choice(publish_id=publish_id, wanted=wanted, fallback=fallback)] if wanted else []
    return choices, refused


def _parts(held: Held) -> Parts:
    host, clusters = envoy_config.virtual_host(held), tuple(envoy_files.typed_cluster(cluster) for cluster in envoy_config.clusters(held))
    return Parts(publish=str(held.spec.publish_id), host=host, clusters=clusters, providers=envoy_auth.providers(held.spec))


def _parts_in(there: Mapping[Kind, Document]) -> dict[UUID, Parts]:
    clusters, providers = defaultdict[str, list[Resource]](list), defaultdict[str, dict[str, Resource]](dict)
    for cluster in there[Kind.CLUSTERS].resources:
        clusters[envoy_config.publish_of(cluster)].append(cluster)
    for name, provider in envoy_files.providers(there[Kind.TOKENS]).items():
        providers[envoy_config.publish_in(name)][name] = provider
    hosts = {seen[0]: host for host in envoy_files.virtual_hosts(there[Kind.ROUTES]) if (seen := envoy_config.seen_of(str(host.get("name"))))}
    return {
        publish: Parts(publish=str(publish), host=host, clusters=tuple(clusters[str(publish)]), providers=providers[str(publish)])
        for publish, host in hosts.items()
    }


def _merge(parts: list[Parts]) -> tuple[list[Resource], list[Resource], dict[str, Resource]]:
    """Virtual hosts, clusters and issuers, sorted so that the same set always makes the same version."""
    ordered = sorted(parts, key=lambda part: part.publish)
    clusters = {str(cluster["name"]): cluster for part in ordered for cluster in part.clusters}
    providers = {name: provider for part in ordered for name, provider in part.providers.items()}
    return [part.host for part in ordered if part.host], [clusters[name] for name in sorted(clusters)], providers


def _target(kept: list[Parts], standing: Mapping[UUID, Parts]) -> dict[Kind, Document]:
    hosts, clusters, providers = _merge([*kept, *standing.values()])
    return {
        Kind.ROUTES: Document.of([envoy_files.route_configuration(hosts)]),
        Kind.CLUSTERS: Document.of(clusters),
        Kind.TOKENS: Document.of([envoy_files.token_filter(providers)]),
    }


def _both(old: Document, new: Document) -> Document:
    """The clusters that old and new routes need; the new document itself when it holds the old ones."""
    known = {str(cluster.get("name")): cluster for cluster in (*old.resources, *new.resources)}
    if len(known) == len(new.resources):
        return new
    return Document.of([known[name] for name in sorted(known)])


def _both_issuers(old: Document, new: Document) -> Document:
    """As `_both`, for the issuers of the token filter."""
    known = envoy_files.providers(old) | envoy_files.providers(new)
    return new if len(known) == len(envoy_files.providers(new)) else Document.of([envoy_files.token_filter(known)])


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 (compared, not bound)
