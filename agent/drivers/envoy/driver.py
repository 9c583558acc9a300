"""The Envoy driver: all publishes in files that Envoy watches.

A change is checked first, and in force only when Envoy's stats say so. Only this module writes those files.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import structlog

from agent.drivers import proof
from agent.drivers.base import (
    Applied,
    Description,
    Desired,
    Observed,
    PinnedSpec,
    Refused,
    ShownState,
    Unreachable,
    ahead_of,
)
from agent.drivers.envoy import check, files
from agent.drivers.envoy.admin_api import Admin, Kind
from agent.drivers.envoy.documents import Document, File
from agent.drivers.envoy.files import Folder, Site
from agent.drivers.envoy.parts import (
    Choice,
    FiledParts,
    Parts,
    choices_of,
    in_files,
    merged,
    shown_in,
    target_of,
    with_old_clusters,
    with_old_issuers,
)
from agent.drivers.envoy.resources import Resource
from agent.protocol.messages import Evidence
from fence import split_endpoint

PROOF_S = 4.0
LOOK_S = 4.0
"""Seconds that `observe` waits for a swap of files.

A heartbeat must not wait for an Envoy that takes nothing.
"""

log = structlog.get_logger()


class EnvoyDriver:
    """One Envoy beside this agent, started with the bootstrap of `folder`."""

    name = "envoy"

    def __init__(self, *, folder: Folder, site: Site, proxy_url: str, program: Path) -> None:
        self._folder, self._site = folder, site
        self._admin, self._program = Admin(site.admin), program
        self.proxy_url = proxy_url
        self._files = {
            Kind.TOKENS: File(folder.tokens),
            Kind.CLUSTERS: File(folder.clusters),
            Kind.ROUTES: File(folder.routes),
        }
        self._swapping = threading.Lock()

    def reserved(self) -> tuple[str, ...]:
        """The public and the admin port of Envoy."""
        return (self._site.proxy, self._site.admin)

    def apply(self, desired: Sequence[Desired]) -> Applied:
        """Write what differs in steps: add issuers and clusters, change routes, drop the old ones.

        Each step waits until Envoy has taken it.

        What somebody else changed is written anew, the listener first: without its filters, publishes that
        ask for credentials would be open.
        """
        refreshed = self._refresh()
        taken, current = self._taken_with_listener(), self._documents()
        served = self._served(taken, current)
        ahead = ahead_of(desired, served)
        applicable = [goal for goal in desired if goal.publish_id not in ahead]
        if ahead and not applicable:
            return Applied(changes=refreshed, ahead=ahead)
        filed = FiledParts.of(current, served)
        choices, refused = choices_of(applicable, filed)
        standing = {choice.publish_id: choice.wanted for choice in choices}
        kept = filed.without(standing)
        target = target_of(kept, standing)
        if not all(document.says_the_same_as(current[kind]) for kind, document in target.items()):
            objections = self._refusals(kept, choices)
            standing = {
                choice.publish_id: part
                for choice in choices
                if (part := choice.fallback if choice.publish_id in objections else choice.wanted)
            }
            refused |= objections
            if objections:
                target = target_of(filed.without(standing), standing)
        with self._swapping:
            return Applied(
                changes=refreshed + self._swap(target, current, taken), refused=refused, ahead=ahead
            )

    def observe(self, *, hasty: bool = False) -> Observed:  # noqa: ARG002 (it never waits long)
        """What the files say, in force when they are as written and Envoy runs exactly these versions.

        When Envoy runs newer ones, its own answer counts.
        """
        # Between a file and Envoy's word that it has taken it, nothing would seem to be in force.
        is_quiet = self._swapping.acquire(timeout=LOOK_S)
        try:
            taken, current, is_altered = self._admin.taken(), self._documents(), self.is_altered()
        finally:
            if is_quiet:
                self._swapping.release()
        with_listener = {**current, Kind.LISTENER: Document.read(self._folder.listeners)}
        in_force = not is_altered and all(
            document.intact and document.version == taken[kind] for kind, document in with_listener.items()
        )
        return Observed(carried=self._served(taken, current), in_force=in_force)

    def verify(self, pinned_spec: PinnedSpec) -> Evidence:
        """Ask through the public port."""
        host, port = split_endpoint(self._site.proxy)
        return proof.prove(pinned_spec, proxy=(_reachable(host), port), deadline_s=PROOF_S)

    def describe(self) -> Description:
        """Fine when the admin interface answers and the listener is there."""
        try:
            version, state = self._admin.server()
            has_routes = bool(self._admin.taken()[Kind.ROUTES])
        except Unreachable as problem:
            return Description(ok=False, error=str(problem), mode="files")
        if state != "LIVE" or not has_routes:
            reason = (
                f"Envoy is {state}."
                if state != "LIVE"
                else f"Envoy has not opened its listener at {self._site.proxy}."
            )
            return Description(ok=False, error=reason, version=version, mode="files")
        return Description(ok=True, version=version, mode="files")

    def is_empty(self) -> bool:
        """Never: Envoy reads its configuration from files of this agent."""
        return False

    def is_altered(self) -> bool:
        """Whether any of Envoy's files differs from this agent's last write."""
        return not files.is_refreshed(self._folder, self._site) or bool(self._altered())

    def _altered(self) -> list[Kind]:
        return [kind for kind, file in self._files.items() if file.is_altered()]

    def _refresh(self) -> int:
        """Put bootstrap and listener right; the number of files written."""
        written = files.refresh(self._folder, self._site)
        if names := [*written, *(kind.name for kind in self._altered())]:
            log.warning("files_changed_by_another_hand", files=names)
        return len(written)

    def _taken_with_listener(self) -> dict[Kind, str]:
        """The versions in force, once Envoy has our listener.

        On an older listener without the filters, publishes that ask for credentials would be open.
        """
        taken, listener = self._admin.taken(), Document.read(self._folder.listeners).version
        if taken[Kind.LISTENER] != listener:
            self._admin.wait_for(Kind.LISTENER, listener)
        for kind, file in self._files.items():
            file.trust(taken[kind])
        return taken

    def _served(self, taken: dict[Kind, str], current: dict[Kind, Document]) -> dict[UUID, ShownState]:
        """What Envoy serves, or will serve once it has read its files.

        Files from a backup are older than what Envoy runs; then Envoy is asked.
        """
        routes = current[Kind.ROUTES]
        return (
            shown_in(self._admin.virtual_hosts())
            if routes.is_older_than(taken[Kind.ROUTES])
            else in_files(routes)
        )

    def _documents(self) -> dict[Kind, Document]:
        return {kind: file.document() for kind, file in self._files.items()}

    def _refusals(self, foreign: list[Parts], choices: list[Choice]) -> dict[UUID, Refused]:
        """Have Envoy check the changed parts; when it objects, find the guilty ones on top of what stands."""
        settled = foreign + [choice.wanted for choice in choices if choice.wanted == choice.fallback]
        # What goes away comes first: a host that one publish gives up may be another's new one.
        candidates = sorted(
            (choice for choice in choices if choice.wanted != choice.fallback),
            key=lambda choice: choice.wanted.host is not None,
        )

        def refusal(taken: list[Choice]) -> str:
            ids = {choice.publish_id for choice in taken}
            fallbacks = [
                choice.fallback for choice in candidates if choice.publish_id not in ids and choice.fallback
            ]
            return self._objection([choice.wanted for choice in taken], standing=settled + fallbacks)

        guilty = check.sift(candidates, refusal=refusal)
        return {
            choice.publish_id: Refused(words, code="gateway_refused", entity=f"publish {choice.publish_id}")
            for choice, words in guilty
        }

    def _objection(self, new: list[Parts], *, standing: list[Parts]) -> str:
        """Envoy's objection to these parts, "" for none.

        The standing parts have passed before: only their names and hosts can clash, and their clusters would
        take most of Envoy's time.
        """
        hosts, clusters, providers = merged(new)
        outlines: list[Resource] = [
            {"name": part.host["name"], "domains": part.host["domains"]} for part in standing if part.host
        ]
        return check.validate(self._program, hosts=hosts + outlines, clusters=clusters, providers=providers)

    def _swap(
        self, target: dict[Kind, Document], current: dict[Kind, Document], taken: dict[Kind, str]
    ) -> int:
        """Returns the number of files written."""
        both = {
            Kind.TOKENS: with_old_issuers(current[Kind.TOKENS], target[Kind.TOKENS]),
            Kind.CLUSTERS: with_old_clusters(current[Kind.CLUSTERS], target[Kind.CLUSTERS]),
        }
        steps = [*both.items(), *((kind, target[kind]) for kind in (Kind.ROUTES, Kind.CLUSTERS, Kind.TOKENS))]
        writes, altered = 0, set(self._altered())
        for kind, document in steps:
            if (
                kind not in altered
                and current[kind].says_the_same_as(document)
                and current[kind].version == taken[kind]
            ):
                continue
            self._write(kind, document, before=current[kind])
            altered.discard(kind)
            current, taken = {**current, kind: document}, {**taken, kind: document.version}
            writes += 1
        return writes

    def _write(self, kind: Kind, document: Document, *, before: Document) -> None:
        self._files[kind].save(document)
        try:
            self._admin.wait_for(kind, document.version)
        except Unreachable as problem:
            if problem.code == "update_rejected" and before.intact:
                # An Envoy that starts with a bad file serves nothing at all.
                self._files[kind].save(before)
            raise


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 (compared, not bound)
