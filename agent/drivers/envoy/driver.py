"""The Envoy driver: brings each publish to Envoy by delta xDS, and proves it at each worker."""

import re
import time
from collections.abc import Mapping, Sequence
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
from agent.drivers.envoy import bootstrap, listeners, rollout
from agent.drivers.envoy.admin_api import Admin
from agent.drivers.envoy.auth import without_keys
from agent.drivers.envoy.bootstrap import Folder, Site
from agent.drivers.envoy.discovery import Discovery, NotConnected
from agent.drivers.envoy.entries import Parts, entry, parts_of
from agent.drivers.envoy.messages import Kind
from agent.drivers.envoy.resource_store import ResourceStore
from agent.drivers.envoy.stream import Change
from agent.drivers.envoy.workers import Workers
from agent.protocol.messages import Evidence
from fence import split_endpoint

PROOF_S = 4.0
TAKE_S = 4.0
"""Seconds without any answer after which Envoy is not waited for any longer."""
SETTLE_S, HASTY_S = 4.0, 1.0
"""Seconds that a change and a heartbeat wait for an Envoy that has just been started."""
CALLERS_ASKED = 4
"""Connections at the callers' port for each question: the workers were asked one by one before."""
REASON_CHARACTERS = 1000

log = structlog.get_logger()


class EnvoyDriver:
    """One Envoy beside this agent, started with the bootstrap of `folder`."""

    name = "envoy"

    def __init__(self, *, folder: Folder, site: Site, proxy_url: str) -> None:
        self._folder, self._site = folder, site
        self._admin = Admin(site.admin)
        self._discovery = Discovery(folder.discovery)
        self._workers = Workers(folder.proof, self._admin)
        self._store = ResourceStore(folder.resources)
        self.proxy_url = proxy_url

    def start(self) -> None:
        """Serve what Envoy took last. Raises OSError, CannotWrite."""
        bootstrap.write(self._folder, self._site)
        stored = self._store.open()
        proof_listener = entry(Kind.LISTENER, listeners.proof_listener(self._folder.proof))
        callers_listener = entry(Kind.LISTENER, listeners.callers_listener(self._site.proxy))
        self._discovery.load(stored)
        self._discovery.want([Change(kind=Kind.LISTENER, upserts=(proof_listener,))])
        self._discovery.want_last(Change(kind=Kind.LISTENER, upserts=(callers_listener,)))
        self._discovery.start()

    def stop(self) -> None:
        """Envoy goes on with what it has."""
        self._discovery.stop()
        self._workers.close()
        self._store.close()

    def reserved(self) -> tuple[str, ...]:
        """The public and the admin port of Envoy."""
        return (self._site.proxy, self._site.admin)

    def apply(self, desired: Sequence[Desired]) -> Applied:
        """Bring each publish to Envoy in steps: add clusters, change routes, drop the old clusters.

        The routes of one publish change in one step, with all that its callers are asked for. What Envoy
        refuses concerns no other publish.
        """
        rewritten = self._write_bootstrap()
        try:
            return self._apply(desired, rewritten=rewritten)
        except NotConnected as problem:
            raise self._not_connected() from problem

    def observe(self, *, hasty: bool = False) -> Observed:
        """What the running Envoy acknowledged, or said that it runs when it came back."""
        self._discovery.settle(timeout_s=HASTY_S if hasty else SETTLE_S)
        try:
            carried = self._discovery.shown()
        except NotConnected as problem:
            raise self._not_connected() from problem
        return Observed(carried=carried, in_force=not self._discovery.refusals(Kind.LISTENER))

    def verify(self, pinned_spec: PinnedSpec) -> Evidence:
        """Ask each worker by itself, and then through the public port."""
        questions = proof.questions_of(pinned_spec)
        if not questions:
            return Evidence()
        deadline = time.monotonic() + PROOF_S
        host, port = split_endpoint(self._site.proxy)
        count = self._workers.prove(questions, deadline=deadline)
        evidence = proof.prove(
            questions,
            proxy=(_reachable(host), port),
            deadline_s=deadline - time.monotonic(),
            connections=CALLERS_ASKED,
            bursts=1,
        )
        return evidence.model_copy(update={"probes": evidence.probes + count})

    def describe(self) -> Description:
        """Fine when Envoy runs, asks this agent, and has opened its listeners."""
        try:
            server = self._admin.server()
        except Unreachable as problem:
            return Description(ok=False, error=str(problem), mode="xds")
        error = ""
        if server.state != "LIVE":
            error = f"Envoy is {server.state}."
        elif not self._discovery.open(timeout_s=HASTY_S):
            error = str(self._not_connected())
        elif refusals := self._discovery.refusals(Kind.LISTENER):
            error = f"Envoy has not opened its listener at {self._site.proxy}: {_reason(refusals[0])}"
        return Description(ok=not error, error=error, version=server.version, mode="xds")

    def is_empty(self) -> bool:
        """Never: an Envoy that is started again gets all from this agent at once."""
        return False

    def is_altered(self) -> bool:
        """Whether somebody else changed the bootstrap. Nothing else of Envoy's is in a file that it reads."""
        return not bootstrap.is_written(self._folder, self._site)

    def _write_bootstrap(self) -> int:
        is_written = bootstrap.write(self._folder, self._site)
        if is_written:
            log.warning("files_changed_by_another_hand", files=[self._folder.bootstrap.name])
        return int(is_written)

    def _apply(self, desired: Sequence[Desired], *, rewritten: int) -> Applied:
        self._discovery.settle(timeout_s=SETTLE_S)
        carried = self._discovery.shown()
        ahead = ahead_of(desired, carried)
        goals = {goal.publish_id: goal for goal in desired if goal.publish_id not in ahead}
        refused = dict[UUID, Refused]()
        parts = _parts_of({publish: goal.wanted for publish, goal in goals.items()}, refused)
        outcome = rollout.bring(self._discovery, parts, timeout_s=TAKE_S)
        for publish, message in outcome.refused.items():
            refused[publish] = _refusal(goals[publish].wanted, message)
        fallbacks = self._bring_fallbacks([goals[publish] for publish in refused], carried)
        standing_parts = outcome.taken | fallbacks.taken
        dropped = rollout.drop_old_clusters(self._discovery, standing_parts, timeout_s=TAKE_S)
        self._store.save(standing_parts)
        return Applied(
            changes=rewritten + outcome.changes + fallbacks.changes + dropped,
            refused=refused,
            ahead=ahead,
            unanswered=frozenset(outcome.unanswered),
        )

    def _bring_fallbacks(
        self, goals: Sequence[Desired], carried: Mapping[UUID, ShownState]
    ) -> rollout.Outcome:
        """What stands for the refused ones. Envoy has it, unless it was forgotten or changed since."""
        fallbacks = dict[UUID, PinnedSpec]()
        for goal in goals:
            shown = carried.get(goal.publish_id)
            if standby := goal.fallback_over(shown.generation if shown else 0):
                fallbacks[goal.publish_id] = standby
        return rollout.bring(self._discovery, _parts_of(fallbacks, {}), timeout_s=TAKE_S)

    def _not_connected(self) -> Unreachable:
        command = f"envoy -c {self._folder.bootstrap}"
        return Unreachable(
            f"No Envoy asks this agent for its configuration. Start it, or start it again: {command}",
            code="not_connected",
        )


def _parts_of(pinned_specs: Mapping[UUID, PinnedSpec], refused: dict[UUID, Refused]) -> dict[UUID, Parts]:
    """The parts of each publish; what Envoy's configuration cannot say goes to the refused."""
    parts = {}
    for publish, pinned_spec in pinned_specs.items():
        try:
            parts[publish] = parts_of(pinned_spec)
        except Refused as problem:
            refused[publish] = problem
    return parts


def _refusal(pinned_spec: PinnedSpec, message: str) -> Refused:
    entity = f"publish {pinned_spec.publish_id}"
    reason = without_keys(_reason(message), pinned_spec.spec.auth)
    return Refused(reason, code="gateway_refused", entity=entity, field=_field(message))


def _reason(message: str) -> str:
    """Envoy's reason alone, without the configuration that it quotes."""
    if constraint := re.search(r"Proto constraint validation failed \((.*)\)", message, re.DOTALL):
        return constraint[1].rpartition("caused by ")[2][:REASON_CHARACTERS]
    return re.sub(r"^Error adding/updating \w+\(s\) \S+: ", "", message)[:REASON_CHARACTERS]


def _field(message: str) -> str:
    """The field that Envoy names, say "connect_timeout"; "" when it names none."""
    if named := re.search(r'field: "([^"]+)"', message):
        return named[1]
    if constraint := re.search(r"\w+ValidationError\.(\w+): ", message):
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", constraint[1]).lower()
    return ""


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 (compared, not bound)
