"""The sweep: each step and each row has its turn, whatever became of the others.

No step waits for a row that another transaction has locked.
"""

from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.utils import timezone

from agent.protocol.messages import Outcome
from clusters import liveness
from clusters.models import AgentLiveness
from core import back_off
from publishes import sweeping
from publishes.callers import credentials
from publishes.choices import KeyState, Kind, Phase
from publishes.engine import keys, outbox, rounds, settlement, syncs
from publishes.models import Credential, Delivery, Operation, ProductPublish
from publishes.verbs import publishing, withdrawing
from tests.publishes.callers.test_credentials import closed
from tests.publishes.engine.test_races import at_once
from tests.world import World

LONG_AGO = timedelta(hours=1)
DISCONNECTED = {"code": "agent_gone", "message": settlement.AGENT_GONE}


@pytest.fixture(autouse=True)
def nothing_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put back is kept per process."""
    monkeypatch.setattr(outbox, "wake", lambda _agents: None)
    for step in sweeping.ROUNDS:
        step.forget()


@pytest.fixture
def outside(transactional_db: None, world: World) -> World:
    """The world outside of any test transaction."""
    return world


def broken(*_args: object) -> object:
    raise ZeroDivisionError


def silent(world: World) -> None:
    AgentLiveness.objects.update(last_seen_at=timezone.now() - LONG_AGO)


STEPS = [
    (liveness, "note_changes"),
    (settlement, "explain_absence"),
    (settlement, "forget_other_drivers"),
    (outbox, "wake"),
    (settlement, "release_hosts"),
]


@pytest.mark.parametrize(("module", "name"), STEPS, ids=[name for _module, name in STEPS])
def test_a_step_that_fails_is_logged_and_all_others_have_their_turn(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, module: object, name: str
) -> None:
    publish = closed(world)
    credentials.issue_test_key(world.actor, publish.pk)
    Credential.objects.update(expires_at=timezone.now() - LONG_AGO)
    monkeypatch.setattr(module, name, broken)
    assert sweeping.sweep() is False
    assert Credential.objects.get().state == KeyState.EXPIRED
    logged: list[Any] = [record.msg for record in caplog.records if record.exc_info]
    assert [(line["event"], line["doing"]) for line in logged] == [("bug", name)]
    monkeypatch.undo()
    assert sweeping.sweep() is True


def test_a_row_that_always_fails_is_put_back_for_longer_and_longer_and_starves_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "AT_ONCE", 1)
    bad, good = sorted(
        (closed(world, hostname_base=f"{name}.localhost") for name in "ab"), key=lambda publish: publish.pk
    )
    ProductPublish.objects.update(sync_wanted=True)
    tried: list[UUID] = []
    usual = syncs.sync_by_id

    def sync(publish_id: UUID) -> object:
        tried.append(publish_id)
        return broken() if publish_id == bad.pk else usual(publish_id)

    monkeypatch.setattr(syncs, "sync_by_id", sync)
    clock = [0.0]
    monkeypatch.setattr(rounds, "monotonic", lambda: clock[0])
    monkeypatch.setattr(back_off, "uniform", lambda _low, _high: 1.0)
    for _ in range(3):
        sweeping.sweep()
    assert tried == [bad.pk, good.pk]
    clock[0] = 1.0
    sweeping.sweep()
    clock[0] = 2.9
    sweeping.sweep()
    assert tried == [bad.pk, good.pk, bad.pk]
    clock[0] = 3.0
    sweeping.sweep()
    assert tried == [bad.pk, good.pk, bad.pk, bad.pk]


@pytest.mark.parametrize("failing", range(2))
def test_a_key_that_cannot_be_ended_does_not_keep_the_others_alive(
    world: World, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    publishes = [closed(world, hostname_base=f"{name}.localhost") for name in "ab"]
    for publish in publishes:
        credentials.issue_test_key(world.actor, publish.pk)
    Credential.objects.update(expires_at=timezone.now() - LONG_AGO)
    usual = keys.expire_keys
    monkeypatch.setattr(
        keys, "expire_keys", lambda pk: broken() if pk == publishes[failing].pk else usual(pk)
    )
    sweeping.sweep()
    states = dict(Credential.objects.values_list("publish", "state"))
    assert states == {publishes[failing].pk: KeyState.ACTIVE, publishes[1 - failing].pk: KeyState.EXPIRED}


@pytest.mark.django_db(transaction=True)
def test_what_somebody_else_has_locked_is_passed_over_and_has_its_turn_later(outside: World) -> None:
    publishes = [closed(outside, hostname_base=f"{name}.localhost") for name in "ab"]
    for publish in publishes:
        credentials.issue_test_key(outside.actor, publish.pk)
    Credential.objects.update(expires_at=timezone.now() - LONG_AGO)
    Operation.objects.filter(phase=Phase.QUEUED).update(deadline_at=timezone.now() - LONG_AGO)
    ProductPublish.objects.filter(pk=publishes[0].pk).update(sync_wanted=True)
    has_locked, may_go_on = Event(), Event()

    def hold() -> None:
        with transaction.atomic():
            ProductPublish.objects.select_for_update(no_key=True).get(pk=publishes[0].pk)
            has_locked.set()
            may_go_on.wait(20)
        connection.close()

    holding = Thread(target=hold)
    holding.start()
    assert has_locked.wait(10)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '2s'")
    assert sweeping.sweep() is True
    assert dict(Credential.objects.values_list("publish", "state")) == {
        publishes[0].pk: KeyState.ACTIVE,
        publishes[1].pk: KeyState.EXPIRED,
    }
    may_go_on.set()
    holding.join()
    sweeping.sweep()
    assert set(Credential.objects.values_list("state", flat=True)) == {KeyState.EXPIRED}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("refusing", range(2))
def test_a_refusal_that_is_half_done_is_no_deadlock_and_what_it_had_locked_is_explained_later(
    outside: World, monkeypatch: pytest.MonkeyPatch, refusing: int
) -> None:
    publish, other = outside.draft(), outside.draft(hostname_base="o.localhost")
    for draft in (publish, other):
        publishing.request_publish(outside.actor, draft.pk)
    refuser = outside.agents[refusing]
    (refused,) = [waiting for waiting in refuser.claim() if waiting.spec.publish_id == publish.pk]
    closing, explained = Event(), Event()
    usual = settlement.settle

    def paused(operation: Operation) -> None:
        if not closing.is_set():
            closing.set()
            explained.wait(1)
            AgentLiveness.objects.filter(agent=refuser.agent).update(last_seen_at=timezone.now())
        usual(operation)

    def refuse() -> None:
        refuser.answer(refused, Outcome.REFUSED, code="rejected", message="no")

    def explain() -> None:
        assert closing.wait(10)
        silent(outside)
        settlement.explain_absence()
        explained.set()

    monkeypatch.setattr(settlement, "settle", paused)
    at_once(refuse, explain)
    assert list(Operation.objects.filter(kind=Kind.REVERT).values_list("publish", flat=True)) == [publish.pk]
    silent(outside)
    settlement.explain_absence()
    waiting = Delivery.objects.filter(phase__in=[Phase.QUEUED, Phase.SENT])
    assert list(waiting.values("code", "message")) == [DISCONNECTED] * 4


def test_what_is_asked_for_while_an_agent_is_away_says_so_too(world: World) -> None:
    publish = world.published()
    AgentLiveness.objects.filter(agent=world.agents[1].agent).update(last_seen_at=timezone.now() - LONG_AGO)
    sweeping.sweep()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    sweeping.sweep()
    messages = dict(Delivery.objects.filter(operation__kind=Kind.WITHDRAW).values_list("agent", "message"))
    assert messages == {world.agents[0].agent.pk: "", world.agents[1].agent.pk: settlement.AGENT_GONE}


def test_a_blocked_agent_and_one_that_never_came_are_not_said_to_be_gone(world: World) -> None:
    never = world.add_agent("never", connected=False)
    publishing.request_publish(world.actor, world.draft().pk)
    world.agents[0].agent.blocked_at = timezone.now()
    world.agents[0].agent.save()
    silent(world)
    sweeping.sweep()
    disconnected = set(
        Delivery.objects.filter(code="agent_gone", operation__kind=Kind.PUBLISH).values_list(
            "agent", flat=True
        )
    )
    assert disconnected == {world.agents[1].agent.pk}
    assert never.agent.pk not in disconnected


def test_rows_are_locked_in_one_order_for_all(world: World) -> None:
    for name in "abc":
        publishing.request_publish(world.actor, world.draft(hostname_base=f"{name}.localhost").pk)
    silent(world)
    statements: list[str] = []

    def noted(execute: Callable[..., object], sql: str, *arguments: object) -> object:
        statements.append(sql)
        return execute(sql, *arguments)

    with connection.execute_wrapper(noted):
        settlement.explain_absence()
        settlement.forget_other_drivers()
        settlement.release_hosts()
    locking = [sql for sql in statements if "FOR NO KEY UPDATE" in sql or "FOR UPDATE" in sql]
    assert len(locking) == 3
    assert all("SKIP LOCKED" in sql and "ORDER BY" in sql for sql in locking)
