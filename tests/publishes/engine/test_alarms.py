"""What becomes of an alarm: adopted, taken off, or its agent is removed; and what an adoption lets in."""

from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from agent.protocol.messages import Carried, Evidence, Outcome, Result
from agent.protocol.spec import Spec, State
from publishes import sweeping
from publishes.callers import credentials
from publishes.choices import Kind, Phase, Status
from publishes.engine import adoption, alarms, answers, expectations, settlement
from publishes.models import Alarm, Operation, ProductPublish
from publishes.verbs import deleting, withdrawing
from tests.publishes.callers.test_credentials import closed
from tests.world import World, reported


def freeze(world: World, publish: ProductPublish) -> None:
    """The first agent carries a version that we do not know."""
    ahead = Carried(publish_id=publish.pk, generation=9, digest="e" * 64, state=State.LIVE, verified=True)
    settlement.freeze(world.agents[0].agent, ahead)
    publish.refresh_from_db()
    assert publish.frozen_at is not None


def let_in(operation: Operation) -> int:
    return len(Spec.model_validate(operation.spec).auth.keys)


def unknown(world: World) -> Alarm:
    """The first agent carries a publish without row or tombstone, and an operator wants it off."""
    carried = Carried(publish_id=uuid4(), generation=3, digest="e" * 64, state=State.LIVE, verified=True)
    reported(world.agents[0].agent, (carried,))
    alarm = Alarm.objects.get()
    assert alarms.request_removal(alarm, by="operator")
    return alarm


def answer(world: World, **changes: Any) -> None:
    (spec,) = alarms.removal_specs(world.agents[0].agent)
    values = {
        "publish_id": spec.publish_id,
        "generation": spec.generation,
        "digest": spec.digest,
        "evidence": Evidence(probes=1, bursts=2),
    }
    answers.record_in_parts(world.agents[0].agent, (Result(**(values | changes)),))


def test_a_key_that_was_switched_off_is_not_let_in_again_by_an_adoption(world: World) -> None:
    publish = closed(world)
    credentials.issue_test_key(world.actor, publish.pk)
    world.everybody_confirms()
    credentials.switch_off(world.actor, publish.pk)
    assert world.last_operation(publish).is_open
    freeze(world, publish)
    healing = adoption.adopt(publish.pk, by="operator", as_carried=False)
    assert (healing.kind, let_in(healing)) == (Kind.HEAL, 0)
    world.everybody_confirms()
    sweeping.sweep()
    assert world.last_operation(publish) == healing


@pytest.mark.parametrize(
    ("as_carried", "kind", "status"),
    [(False, Kind.WITHDRAW, Status.WITHDRAWN), (True, Kind.HEAL, Status.PUBLISHED)],
)
def test_what_somebody_wanted_withdrawn_is_live_again_only_when_the_operator_keeps_what_is_there(
    world: World, *, as_carried: bool, kind: Kind, status: Status
) -> None:
    publish = closed(world)
    credentials.issue_test_key(world.actor, publish.pk)
    world.everybody_confirms()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="over")
    Operation.objects.filter(kind=Kind.WITHDRAW).update(deadline_at=timezone.now())
    sweeping.sweep()
    credentials.switch_off(world.actor, publish.pk)
    freeze(world, publish)
    operation = adoption.adopt(publish.pk, by="operator", as_carried=as_carried)
    assert (operation.kind, let_in(operation)) == (kind, 0)
    world.everybody_confirms()
    publish.refresh_from_db()
    assert publish.status == status


def test_what_somebody_wanted_deleted_stays_off(world: World) -> None:
    publish = world.withdrawn()
    deleting.request_delete(world.actor, publish.pk)
    Operation.objects.filter(kind=Kind.DELETE).update(deadline_at=timezone.now())
    sweeping.sweep()
    freeze(world, publish)
    operation = adoption.adopt(publish.pk, by="operator", as_carried=False)
    assert (operation.kind, operation.spec["state"]) == (Kind.HEAL, "absent")


def test_a_freeze_ends_by_itself_when_the_agent_that_was_ahead_is_removed(world: World) -> None:
    publish = world.published()
    freeze(world, publish)
    sweeping.sweep()
    publish.refresh_from_db()
    assert publish.frozen_at is not None
    world.agents.pop(0).agent.delete()
    sweeping.sweep()
    world.everybody_confirms()
    publish.refresh_from_db()
    assert not publish.frozen_at
    assert publish.status == Status.PUBLISHED
    assert (world.last_operation(publish).kind, world.last_operation(publish).phase) == (
        Kind.HEAL,
        Phase.SUCCEEDED,
    )
    withdrawing.request_withdraw(world.actor, publish.pk, reason="over")
    world.everybody_confirms()
    publish.refresh_from_db()
    assert publish.status == Status.WITHDRAWN


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.VERIFIED])
def test_what_was_not_taken_off_keeps_its_alarm_and_is_asked_for_again(
    world: World, outcome: Outcome
) -> None:
    alarm = unknown(world)
    answer(world, outcome=outcome)
    alarm.refresh_from_db()
    assert (alarm.closed_at, alarm.take_off_at is not None) == (None, True)
    assert alarms.removal_specs(world.agents[0].agent)


def test_what_was_taken_off_closes_its_alarm_when_the_proof_is_of_what_was_asked(world: World) -> None:
    alarm = unknown(world)
    answer(world, outcome=Outcome.VERIFIED, generation=2)
    alarm.refresh_from_db()
    assert alarm.closed_at is None
    answer(world, outcome=Outcome.VERIFIED)
    alarm.refresh_from_db()
    assert alarm.closed_at is not None


def test_an_agent_is_asked_to_report_until_what_operators_want_off_is_off(world: World) -> None:
    agent, nothing_of_ours = world.agents[0].agent, sha256(b"").hexdigest()
    assert expectations.heartbeat_decision(agent, nothing_of_ours).report is False
    unknown(world)
    assert expectations.heartbeat_decision(agent, nothing_of_ours).report is True
    answer(world, outcome=Outcome.VERIFIED)
    assert expectations.heartbeat_decision(agent, nothing_of_ours).report is False


def test_an_agent_that_has_seen_a_higher_generation_is_asked_above_that(world: World) -> None:
    unknown(world)
    answer(world, outcome=Outcome.STALE, highest_generation=7)
    assert [spec.generation for spec in alarms.removal_specs(world.agents[0].agent)] == [8]
    answer(world, outcome=Outcome.VERIFIED)
    assert not alarms.removal_specs(world.agents[0].agent)
