"""The Kong driver: reads, plans, writes in stages, proves.

The Kong has a database or none, and may be shared with whatever else its operator keeps there.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import structlog

from agent.drivers.base import (
    Applied,
    Description,
    Desired,
    Observed,
    PinnedSpec,
    Refused,
    Unproved,
    Unreachable,
)
from agent.drivers.kong import node as kong_node
from agent.drivers.kong import plan as kong_plan
from agent.drivers.kong import proof
from agent.drivers.kong.admin_api import Admin
from agent.drivers.kong.change import Change
from agent.drivers.kong.db import Database, Written
from agent.drivers.kong.dbless import EMPTY_HASH, Declarative
from agent.drivers.kong.plan import Gate, Group, Plan, Stage
from agent.drivers.kong.reader import Reader
from agent.drivers.kong.routing import Options
from agent.protocol.messages import Evidence

PROOFS_AT_ONCE = 4

log = structlog.get_logger()


class KongDriver:
    """One Kong node.

    Agents beside several nodes of one database may all drive it: each proves its own node, and waits for the
    others.
    """

    name = "kong"

    def __init__(
        self,
        *,
        admin: Admin,
        hasty: Admin,
        proxy: tuple[str, int],
        proxy_url: str,
        reserved: tuple[str, ...],
        options: Options,
        is_alone: bool,
    ) -> None:
        """`admin` and `hasty` are one Admin API, with patience and without.

        They share no connection, so neither waits for the other.

        `is_alone`: no other node has this one's database.
        """
        self._admin, self._hasty, self._proxy = admin, hasty, proxy
        self._reserved, self._options = reserved, options
        self.proxy_url, self._is_alone = proxy_url, is_alone
        self._reader = Reader()

    def start(self) -> None:
        """Nothing to begin: Kong runs by itself."""

    def stop(self) -> None:
        """Nothing to end."""

    def reserved(self) -> tuple[str, ...]:
        """The admin and proxy ports, and those that the operator named."""
        return self._reserved

    def apply(self, desired: Sequence[Desired]) -> Applied:
        """Write what differs. A publish with credentials is closed at every worker before it opens."""
        node = kong_node.read_node(self._admin)
        specs = [goal.wanted.spec for goal in desired]
        change = Change.of(node, specs, self._reader.read(self._admin, node=node, specs=specs))
        try:
            self._carry_out(change, desired)
        except BaseException:
            self._reader.forget()
            raise
        refused = {**change.refused, **change.declined}
        publishes = {
            UUID(group): refusal for group, refusal in refused.items() if not group.startswith("issuer:")
        }
        return Applied(
            changes=change.changes,
            refused=publishes,
            ahead={UUID(group): generation for group, generation in change.ahead.items()},
        )

    def observe(self, *, hasty: bool = False) -> Observed:
        """The state in the entities' own tags; without a digest where somebody else changed a part."""
        admin = self._hasty if hasty else self._admin
        return Observed(
            carried=self._reader.read(admin, node=kong_node.read_node(admin)).shown, in_force=True
        )

    def verify(self, pinned_spec: PinnedSpec) -> Evidence:
        """Ask through the proxy."""
        return proof.prove_live(pinned_spec, self._proxy)

    def describe(self) -> Description:
        """Fine when the Admin API answers and the driver can work with this Kong."""
        try:
            node = kong_node.read_node(self._hasty)
        except Unreachable as problem:
            return Description(ok=False, error=str(problem))
        return Description(ok=True, version=node.version, mode=node.mode)

    def is_empty(self) -> bool:
        """By the configuration hash, on a Kong without a database.

        With a database, False: other agents write to it too, and heartbeats find what is missing.
        """
        try:
            return self._hasty.get("/status").get("configuration_hash") == EMPTY_HASH
        except Unreachable:
            return False

    def is_altered(self) -> bool:
        """Never: the driver keeps no files; heartbeats find changes by somebody else by checksum."""
        return False

    def _carry_out(self, change: Change, desired: Sequence[Desired]) -> None:
        self._run(change, self._plans(change, desired))
        self._go_back(change)
        self._clear_issuers(change)
        self._remember(change)

    def _remember(self, change: Change) -> None:
        if change.refused:
            self._reader.forget()
        else:
            self._reader.note_written(change.node, change.current)

    def _plans(self, change: Change, desired: Sequence[Desired]) -> list[Plan]:
        generations = {str(goal.publish_id): goal.wanted.spec.generation for goal in desired}
        # Another agent of this database has a newer generation: its writes are not ours to undo.
        change.ahead = {
            group: newest
            for group, generation in generations.items()
            if (newest := change.inventory.generation(group)) > generation
        }
        applicable = [goal for goal in desired if str(goal.publish_id) not in change.ahead]
        possible = [
            self._plan(change, goal.wanted) or self._fallback_plan(change, goal) for goal in applicable
        ]
        plans = [plan for plan in possible if plan]
        return [
            *change.issuer_plans([plan.pinned_spec.spec for plan in plans if plan.pinned_spec]),
            *plans,
        ]

    def _fallback_plan(self, change: Change, goal: Desired) -> Plan | None:
        fallback = goal.fallback_over(change.inventory.generation(str(goal.publish_id)))
        return self._plan(change, fallback) if fallback else None

    def _plan(self, change: Change, pinned_spec: PinnedSpec) -> Plan | None:
        group = str(pinned_spec.publish_id)
        try:
            kong_node.check(change.node, pinned_spec.spec)
            return kong_plan.of_publish(pinned_spec, change.inventory.target(group), self._options)
        except Refused as problem:
            change.declined.setdefault(group, problem)
            return None

    def _run(self, change: Change, plans: Sequence[Plan]) -> None:
        """Run the plans stage by stage, all groups together; a group that fails a gate stops there."""
        for number in range(max((len(plan.stages) for plan in plans), default=0)):
            due = [
                (plan, plan.stages[number])
                for plan in plans
                if number < len(plan.stages) and change.goes_on(plan)
            ]
            written = self._write(change, {plan.group: stage.target for plan, stage in due})
            written_at = time.monotonic()
            change.spread_refusals(written, plans)
            gated = [(plan, stage) for plan, stage in due if stage.gate and change.goes_on(plan)]
            if gated:
                self._pass_gates(change, gated)
                self._wait_for_propagation(change, [plan for plan, _ in gated], written_at=written_at)
                self._read_again(change, [plan for plan in plans if len(plan.stages) > number + 1])

    def _write(self, change: Change, targets: Mapping[Group, kong_plan.Target]) -> Written:
        current = {group: change.current.get(group, {}) for group in {*change.current, *targets}}
        writer = Declarative(self._admin) if change.node.is_dbless else Database(self._admin)
        written = writer.move(current, targets)
        change.record(targets, written)
        return written

    def _pass_gates(self, change: Change, waiting: Sequence[tuple[Plan, Stage]]) -> None:
        with ThreadPoolExecutor(max_workers=PROOFS_AT_ONCE, thread_name_prefix="gate") as pool:
            proofs = {plan.group: pool.submit(self._gate(change, plan, stage)) for plan, stage in waiting}
        for group, future in proofs.items():
            try:
                future.result()
            except Unproved as problem:
                log.warning("gate_not_passed", publish=group, reason=str(problem))
                change.unproved.add(group)

    def _wait_for_propagation(self, change: Change, gated: Sequence[Plan], *, written_at: float) -> None:
        """Wait for the other nodes of the database.

        No agent here can ask them; each sees a change by a timer of its own.
        """
        remaining_s = written_at + change.node.propagation_s - time.monotonic()
        if remaining_s > 0 and not self._is_alone and any(change.goes_on(plan) for plan in gated):
            time.sleep(remaining_s)

    def _read_again(self, change: Change, plans: Sequence[Plan]) -> None:
        """Look for changes that another agent of this database wrote while this one waited.

        A group that was changed is left to that agent; the proof shows the outcome.
        """
        if change.node.is_dbless:
            return
        self._remember(change)
        inventory = self._reader.read(self._admin, node=change.node, specs=change.specs)
        for plan in plans:
            newest = inventory.generation(plan.group)
            if plan.pinned_spec and newest > plan.pinned_spec.spec.generation:
                change.ahead[plan.group] = newest
            elif change.goes_on(plan) and not kong_plan.is_same(
                change.current.get(plan.group, {}), inventory.target(plan.group)
            ):
                log.info("left_to_another_hand", publish=plan.group)
                change.unproved.add(plan.group)
        change.current = {group: dict(target) for group, target in inventory.groups.items()}

    def _gate(self, change: Change, plan: Plan, stage: Stage) -> Callable[[], object]:
        pinned_spec = plan.pinned_spec
        if pinned_spec is None:
            return lambda: None
        if stage.gate == Gate.CLOSED:
            return lambda: proof.prove_closed(pinned_spec, self._proxy)
        if stage.gate == Gate.LIVE:
            return lambda: proof.prove_live(pinned_spec, self._proxy)
        before = change.inventory.target(plan.group)
        routes = [entity for entity in before.values() if entity.kind == "routes" and entity.body["hosts"]]
        host = str(routes[0].body["hosts"][0]) if routes else pinned_spec.probe_host
        generation = change.inventory.generation(plan.group)
        return lambda: (
            proof.prove_no_route(pinned_spec.publish_id, host, generation, self._proxy) if host else None
        )

    def _go_back(self, change: Change) -> None:
        """Bring groups that Kong refused halfway back to their state before the change."""
        failed = change.refused.keys() & change.touched
        if failed and not change.node.is_dbless:
            self._reader.forget()
            inventory = self._reader.read(self._admin, node=change.node, specs=change.specs)
            before = {group: change.inventory.target(group) for group in failed}
            Database(self._admin).move({group: inventory.target(group) for group in failed}, before)
            change.current |= {group: dict(target) for group, target in before.items()}

    def _clear_issuers(self, change: Change) -> None:
        """Remove the issuers that no publish on this Kong needs any more."""
        if (unneeded := change.unneeded_issuers()) and not change.unproved:
            self._write(change, {group: {} for group in unneeded})
