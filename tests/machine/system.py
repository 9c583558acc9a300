"""The control plane of one run with its agents; every step is the test's.

Who works, what is lost, how time passes, and what must hold throughout.
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import translation

from agent.control_plane import heartbeat, pull
from agent.drivers.base import PinnedSpec
from agent.protocol.messages import Command, CommandAnswer
from agent.protocol.spec import Spec, State
from agent.work import worker
from clusters import client
from clusters.errors import AgentSilentError
from clusters.models import Agent, counting
from core.problems import Problem
from products.models import Route
from publishes import sweeping
from publishes.choices import OPEN_PHASES, Desired, Kind, Phase, Status
from publishes.engine import delivery, outbox, rounds
from publishes.models import Delivery, Operation, ProductPublish, PublishEvent
from publishes.reading.detail.snapshot import snapshot_of
from publishes.reading.texts import sentences
from publishes.verbs import cancelling, deleting, publishing, retrying, withdrawing
from tests.machine.fates import Bugs, Delayed, Push
from tests.machine.stepped import Killed, SteppedAgent
from tests.world import World, make_world

Carried = tuple[int, str, State]
SETTLING_ROUNDS = 12
LEGAL = {("", "DRAFT"), ("DRAFT", "PUBLISHED"), ("PUBLISHED", "WITHDRAWN"), ("WITHDRAWN", "PUBLISHED")}


class System:
    """One run. Nothing happens in it that a method was not called for."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, *, agents: int) -> None:
        self.world: World = make_world()
        self.agents = [
            SteppedAgent(self.world.add_agent(f"busan-{n + 1}"), folder / f"busan-{n + 1}")
            for n in range(agents)
        ]
        self.drafts: list[UUID] = []
        self.delayed: list[Delayed] = []
        self.pushes: deque[Push] = deque()
        self.woken: list[UUID] = []
        self._worker_died = False
        self._newest: dict[tuple[str, UUID], int] = {}
        self._foreign = self._plant_foreign()
        self._patch(patch)

    # --- people
    # -------------------------------------------------------------------------------------------------------

    def draft(self, *, host: str) -> None:
        """Make a draft."""
        self.drafts.append(self.world.draft(hostname_base=f"{host}.localhost").pk)

    def verb(self, choice: int, *, which: int) -> Callable[[UUID], object]:
        """The verbs that a person might choose now: first those that the page offers, then any."""
        row = ProductPublish.objects.filter(pk=self.drafts[which % len(self.drafts)]).first()
        offered = {
            Status.DRAFT: [self.publish, self.publish, self.retry, self.delete],
            Status.PUBLISHED: [self.withdraw],
            Status.WITHDRAWN: [self.publish, self.change_and_publish, self.delete],
        }[Status(row.status) if row else Status.DRAFT]
        anything = [self.publish, self.withdraw, self.delete, self.retry, self.cancel]
        return offered[choice % len(offered)] if choice < 8 else anything[choice % len(anything)]

    def ask(self, verb: Callable[[UUID], object], *, which: int) -> None:
        """A person asks for something; it may be refused in words."""
        publish_id = self.drafts[which % len(self.drafts)]
        try:
            verb(publish_id)
        except Problem as problem:
            assert problem.status in {404, 409}, problem

    def publish(self, publish_id: UUID) -> None:
        """배포 실행."""
        publishing.request_publish(self.world.actor, publish_id)

    def withdraw(self, publish_id: UUID) -> None:
        """철회."""
        withdrawing.request_withdraw(self.world.actor, publish_id, reason="for a test")

    def delete(self, publish_id: UUID) -> None:
        """삭제."""
        deleting.request_delete(self.world.actor, publish_id)

    def cancel(self, publish_id: UUID) -> None:
        """취소."""
        cancelling.cancel(self.world.actor, publish_id)

    def retry(self, publish_id: UUID) -> None:
        """다시 시도."""
        retrying.retry(self.world.actor, publish_id)

    def change_and_publish(self, publish_id: UUID) -> None:
        """The next publish carries something else."""
        route = Route.objects.filter(service__products=self.world.product).order_by("path")[0]
        Route.objects.filter(pk=route.pk).update(path=f"/changed-{uuid4().hex[:6]}")
        self.publish(publish_id)

    # --- machines
    # -----------------------------------------------------------------------------------------------------

    def deliver(self, agent: SteppedAgent, *pushes: Push) -> None:
        """A worker is woken for an agent; its pushes meet these fates, later ones go well."""
        self.pushes, self._worker_died = deque(pushes), False
        with suppress(Killed):
            delivery.deliver(agent.voice.agent.pk)

    def sweep(self) -> None:
        """The sweep, and whom it wakes."""
        self.woken.clear()
        sweeping.sweep()
        for agent in self.agents:
            if agent.voice.agent.pk in self.woken:
                self.deliver(agent)

    def arrive(self, which: int, *, again: bool) -> None:
        """A late command arrives after all; nobody waits for its answer."""
        late = self.delayed[which % len(self.delayed)]
        if not again:
            self.delayed.remove(late)
        late.to.alive(lambda: late.to.take(late.command, in_time=False))

    def pass_time(self, seconds: int) -> None:
        """Move every clock that decides anything."""
        columns = {
            "publishes_delivery": "due_at",
            "publishes_agentlease": "until",
            "publishes_operation": "deadline_at",
            "clusters_agentliveness": "last_seen_at",
        }
        with connection.cursor() as cursor:
            for table, column in columns.items():
                cursor.execute(
                    f"UPDATE {table} SET {column} = {column} - make_interval(secs => %s)",  # noqa: S608
                    [seconds],
                )

    def settle(self) -> None:
        """All faults end; after some heartbeats everything has to agree."""
        for agent in self.agents:
            agent.gateway.away = agent.line.is_cut = False
            agent.gateway.refuse.clear()
            agent.gateway.unproved.clear()
            agent.line.fates.clear()
            agent.gateway.before = lambda _point: None
            if not agent.is_up:
                agent.start()
        for _round in range(SETTLING_ROUNDS):
            self.pass_time(10)
            for agent in self.agents:
                for step in (agent.beat, agent.worker.work_once, agent.hand_in):
                    agent.alive(step)
            self.sweep()
            self.check()
            if self._is_quiet():
                break
        self.check_agreement()

    # --- what must hold
    # -----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """At any moment."""
        accepted = {(o.publish_id, o.generation, o.digest) for o in Operation.objects.all()}
        for agent in self.agents:
            assert agent.gateway.carried[self._foreign.spec.publish_id] == self._foreign, (
                "something foreign was touched"
            )
            for publish_id in set(self.drafts) & agent.gateway.carried.keys():
                carried = agent.carried_state(publish_id)
                assert carried
                assert (publish_id, *carried[:2]) in accepted, "the gateway carries what nobody asked for"
            self._check_direction(agent)
            self._check_report(agent)
        self._check_deliveries()
        self._check_history()

    def check_agreement(self) -> None:
        """At rest: gateway = desired = page, for all that are there."""
        assert not Operation.objects.filter(phase__in=OPEN_PHASES).exists(), "something is still open at rest"
        for row in ProductPublish.objects.all():
            expected = (
                None
                if row.desired_state in {"", Desired.ABSENT}
                else (row.generation, row.desired_digest, State(row.desired_state))
            )
            for agent in self.agents:
                assert agent.carried_state(row.pk) == expected, f"{agent} at rest"
            assert (row.claimed_host is None) == (row.desired_state in {"", Desired.ABSENT}), (
                "a host was kept, or lost"
            )
            if row.deleted_at is None:
                self._check_page(row)

    def _check_page(self, row: ProductPublish) -> None:
        snapshot = snapshot_of(self.world.actor, row.pk)
        assert sentences.progress(snapshot) == ""
        n = len(self.agents)
        expected_sentences = {
            "": "1 agent is connected and will take it"
            if n == 1
            else f"{n} agents are connected and will take it",
            Desired.LIVE: f"1 of 1 agent serves v{row.generation}"
            if n == 1
            else f"{n} of {n} agents serve v{row.generation}",
            Desired.WITHDRAWN: f"1 of 1 agent answers 410 (v{row.generation})"
            if n == 1
            else f"{n} of {n} agents answer 410 (v{row.generation})",
            Desired.ABSENT: f"1 of 1 agent has taken it off (v{row.generation})"
            if n == 1
            else f"{n} of {n} agents have taken it off (v{row.generation})",
        }
        with translation.override("en"):  # requests leave their own behind
            sentence = sentences.board_sentence(snapshot).split(" · ")[0]
        assert sentence == expected_sentences[row.desired_state], f"the page says {sentence}"
        if row.status == Status.PUBLISHED:
            assert row.desired_state in {Desired.LIVE, Desired.WITHDRAWN}
        if row.desired_state == Desired.LIVE:
            assert row.status == Status.PUBLISHED

    def _check_direction(self, agent: SteppedAgent) -> None:
        for publish_id in self.drafts:
            carried = agent.carried_state(publish_id)
            if carried is not None:
                newest = self._newest.get((repr(agent), publish_id), 0)
                assert carried[0] >= newest, f"{agent} went back from {newest} to {carried[0]}"
                self._newest[repr(agent), publish_id] = carried[0]
        for publish_id, generation, _digest in agent.proved:
            # What was proved absent must not come back as something older.
            key = (repr(agent), publish_id)
            self._newest[key] = max(self._newest.get(key, 0), generation)

    def _check_report(self, agent: SteppedAgent) -> None:
        """Every line that the agent would report as verified was proved."""
        for line in agent.report():
            assert not line.verified or (line.publish_id, line.generation, line.digest) in agent.proved, (
                f"{agent} would report what it only wants"
            )

    def _check_deliveries(self) -> None:
        """Every succeeded delivery was proved by its agent."""
        succeeded = Delivery.objects.filter(phase=Phase.SUCCEEDED).select_related("operation")
        proved = {agent.voice.agent.pk: agent.proved for agent in self.agents}
        for row in succeeded:
            operation = row.operation
            assert (operation.publish_id, operation.generation, operation.digest) in proved[row.agent_id], (
                "counted without proof"
            )

    def _check_history(self) -> None:
        """One line per transition, each from the status before it, as many as operations that made one."""
        for row in ProductPublish.objects.all():
            moves = list(
                PublishEvent.objects.filter(publish=row)
                .exclude(to_status="")
                .order_by("id")
                .values_list("from_status", "to_status")
            )
            assert set(moves) <= LEGAL
            assert [before for before, _after in moves] == ["", *(after for _before, after in moves[:-1])]
            assert moves[-1][1] == row.status
            succeeded = row.operations.filter(
                phase=Phase.SUCCEEDED, kind__in=[Kind.PUBLISH, Kind.WITHDRAW]
            ).count()
            assert len(moves) - 1 == succeeded, "a transition without an operation, or the other way round"
            assert row.generation == row.operations.count()

    # --- how it is put together
    # ---------------------------------------------------------------------------------------

    def _is_quiet(self) -> bool:
        waiting = (
            Operation.objects.filter(phase__in=OPEN_PHASES).exists()
            or Delivery.objects.filter(phase__in=OPEN_PHASES).exists()
        )
        agree = [
            agent.carried_state(row.pk)
            == (
                None
                if row.desired_state in {"", "absent"}
                else (row.generation, row.desired_digest, State(row.desired_state))
            )
            for row in ProductPublish.objects.all()
            for agent in self.agents
        ]
        return not waiting and all(agree)

    def _plant_foreign(self) -> PinnedSpec:
        pinned_spec = PinnedSpec(
            spec=Spec(publish_id=uuid4(), generation=7, state=State.LIVE, host="foreign.localhost")
        )
        for agent in self.agents:
            agent.gateway.carried[pinned_spec.publish_id] = pinned_spec
        return pinned_spec

    def _patch(self, patch: pytest.MonkeyPatch) -> None:
        release = outbox.release
        patch.setattr(client, "send", self._exchange)
        patch.setattr(
            outbox,
            "release",
            lambda agent_id, *, lease: None if self._worker_died else release(agent_id, lease=lease),
        )
        patch.setattr(outbox, "wake", self.woken.extend)
        patch.setattr(outbox, "close", self._closed(outbox.close))
        for module in (rounds, worker, heartbeat, pull):
            patch.setattr(module, "log", Bugs())

    def _closed(self, close: Callable[..., None]) -> Callable[..., None]:
        """An operation succeeds when everybody who counts at that moment has proved it, and not before."""

        def watched(operations: Sequence[Operation], phase: Phase) -> None:
            counted = set(
                Agent.objects.annotate(counts=counting()).filter(counts=True).values_list("pk", flat=True)
            )
            for operation, agent in product(operations, self.agents):
                has_proved = (operation.publish_id, operation.generation, operation.digest) in agent.proved
                assert phase is not Phase.SUCCEEDED or has_proved or agent.voice.agent.pk not in counted, (
                    f"{operation.kind} has succeeded without {agent}"
                )
            close(operations, phase)

        return watched

    def _exchange(self, row: Agent, command: Command) -> CommandAnswer:
        """In place of the network between a worker and an agent."""
        fate = self.pushes.popleft() if self.pushes else Push.WELL
        target = next(agent for agent in self.agents if agent.voice.agent.pk == row.pk)
        if fate is Push.WORKER_DIES_BEFORE:
            self._die()
        if fate is Push.LATE:
            self.delayed.append(Delayed(target, command))
        if fate in {Push.LOST, Push.LATE} or target.line.is_cut or not target.is_up:
            raise AgentSilentError("The agent did not answer in time.")
        answers: list[CommandAnswer] = []
        target.alive(lambda: answers.append(target.take(command, in_time=fate is not Push.SLOW)))
        if fate is Push.WORKER_DIES_AFTER:
            self._die()
        if fate is Push.ANSWER_LOST or not answers:
            raise AgentSilentError("The agent did not answer in time.")
        return CommandAnswer.model_validate_json(answers[0].model_dump_json())

    def _die(self) -> None:
        self._worker_died = True
        raise Killed
