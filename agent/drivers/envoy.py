"""The Envoy driver: all publishes in files that Envoy watches, checked first, in force only when Envoy's stats say so. The only writer of those files."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from agent import proof
from agent.drivers import envoy_auth, envoy_check, envoy_config, envoy_files
from agent.drivers.base import Applied, Description, Desired, Held, Observed, Refused, Seen, Unreachable
from agent.drivers.envoy_admin import Admin, Kind
from agent.drivers.envoy_config import Resource
from agent.drivers.envoy_files import Document, Folder
from agent.protocol.messages import Evidence
from fence import split_endpoint

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
        self._require_known(desired, taken, there)
        choices, refused = _choices(desired)
        # What this agent does not know (its state was lost), or can write no more (a version that is stricter), is not its to remove.
        stuck = refused.keys() - {choice.publish_id for choice in choices}
        foreign = _foreign(there, {str(one.wanted.spec.publish_id) for one in desired if one.wanted.spec.publish_id not in stuck})
        target = _target(foreign + [choice.wanted for choice in choices])
        if not all(document.says_the_same_as(there[kind]) for kind, document in target.items()):
            objections = self._refusals(foreign, choices)
            standing = [part for choice in choices if (part := choice.fallback if choice.publish_id in objections else choice.wanted)]
            target, refused = (_target(foreign + standing) if objections else target), refused | objections
        with self._swapping:
            return Applied(changes=self._swap(target, there, taken), refused=refused)

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

    def _require_known(self, desired: Sequence[Desired], taken: dict[Kind, str], there: dict[Kind, Document]) -> None:
        """What is not named stays as the files say it: that must be what Envoy serves, or what was withdrawn would be live again."""
        served, in_files, named = self._served(taken, there), _in_files(there[Kind.ROUTES]), {one.wanted.spec.publish_id for one in desired}
        if unknown := {publish for publish in served.keys() | in_files.keys() if served.get(publish) != in_files.get(publish)} - named:
            words = f"Envoy's files are older than what it serves, as after a restored backup, and what {len(unknown)} publishes should be is not told yet."
            raise Unreachable(words, code="files_too_old")

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


def _choices(desired: Sequence[Desired]) -> tuple[list[_Choice], dict[UUID, Refused]]:
    choices: list[_Choice] = []
    refused: dict[UUID, Refused] = {}
    for one in desired:
        publish_id, wanted, fallback = one.wanted.spec.publish_id, None, None
        try:
            fallback = _parts(one.fallback) if one.fallback else None
            wanted = fallback if one.wanted is one.fallback else _parts(one.wanted)
        except Refused as problem:
            refused[publish_id], wanted = problem, fallback
        choices += [_Choice(publish_id=publish_id, wanted=wanted, fallback=fallback)] if wanted else []
    return choices, refused


def _parts(held: Held) -> Parts:
    host, clusters = envoy_config.virtual_host(held), tuple(envoy_files.typed_cluster(cluster) for cluster in envoy_config.clusters(held))
    return Parts(publish=str(held.spec.publish_id), host=host, clusters=clusters, providers=envoy_auth.providers(held.spec))


def _foreign(there: dict[Kind, Document], known: set[str]) -> list[Parts]:
    hosts = {envoy_config.publish_of(host): host for host in envoy_files.virtual_hosts(there[Kind.ROUTES])}
    clusters = [(envoy_config.publish_of(cluster), cluster) for cluster in there[Kind.CLUSTERS].resources]
    issuers = [(envoy_config.publish_in(name), name, provider) for name, provider in envoy_files.providers(there[Kind.TOKENS]).items()]
    return [
        Parts(
            publish=publish,
            host=host,
            clusters=tuple(cluster for owner, cluster in clusters if owner == publish),
            providers={name: provider for owner, name, provider in issuers if owner == publish},
        )
        for publish, host in hosts.items()
        if publish not in known
    ]


def _merge(parts: list[Parts]) -> tuple[list[Resource], list[Resource], dict[str, Resource]]:
    """Virtual hosts, clusters and issuers, sorted so that the same set always makes the same version."""
    ordered = sorted(parts, key=lambda part: part.publish)
    clusters = {str(cluster["name"]): cluster for part in ordered for cluster in part.clusters}
    providers = {name: provider for part in ordered for name, provider in part.providers.items()}
    return [part.host for part in ordered if part.host], [clusters[name] for name in sorted(clusters)], providers


def _target(parts: list[Parts]) -> dict[Kind, Document]:
    hosts, clusters, providers = _merge(parts)
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
