"""Changed keys go out at once, also in the midst of a publish; pages say of a key what agents have proved."""

from datetime import timedelta

import pytest
from django.utils import timezone

from agent.protocol.messages import Outcome
from agent.protocol.spec import Spec
from clusters.models import AgentLiveness
from publishes import errors
from publishes.callers import credentials
from publishes.choices import KeyState, Kind, Phase, Status
from publishes.engine import delivery, keys, outbox
from publishes.models import Credential, Delivery, ProductPublish
from publishes.reading.callers import access
from publishes.verbs import publishing, withdrawing
from tests.publishes.callers.test_credentials import closed, draft
from tests.publishes.engine.test_line import kinds
from tests.world import World

LONG_AGO = timedelta(hours=1)


def standing(publish: ProductPublish) -> dict[str, tuple[list[str], list[str]]]:
    """By key: proved on, awaited from."""
    rows = list(access.keys_of(publish))
    return {
        str(key.pk): (list(proof.proved_on), list(proof.awaited_from))
        for key, proof in access.proofs_of(publish, rows).items()
    }


def of(publish: ProductPublish, credential: Credential) -> tuple[list[str], list[str]]:
    return standing(publish)[str(credential.pk)]


def keys_in(spec: Spec) -> set[object]:
    return {key.id for key in spec.auth.keys}


def test_a_key_that_is_switched_off_in_the_midst_of_a_publish_is_taken_out_of_it_at_once(
    world: World,
) -> None:
    publish = draft(world)
    active, off = (credentials.issue_test_key(world.actor, publish.pk).credential for _ in range(2))
    operation = publishing.request_publish(world.actor, publish.pk)
    first, second = world.agents
    (old,) = first.claim()
    first.answer(old)
    ended = credentials.switch_off(world.actor, publish.pk, credential_id=off.pk)
    operation.refresh_from_db()
    publish.refresh_from_db()
    assert (ended.operation, publish.sync_wanted) == (operation, False)
    assert (operation.phase, operation.generation, publish.generation, operation.kind) == (
        Phase.QUEUED,
        2,
        2,
        Kind.PUBLISH,
    )
    assert publish.desired_digest == operation.digest == Spec.model_validate(operation.spec).digest
    assert set(Delivery.objects.values_list("phase", "attempt", "message")) == {(Phase.QUEUED, 0, "")}
    (new,) = first.claim()
    assert (new.spec.generation, keys_in(new.spec)) == (2, {active.pk})
    second.answer(old)
    publish.refresh_from_db()
    assert publish.status == Status.DRAFT
    first.answer(new)
    second.confirm_all()
    publish.refresh_from_db()
    assert (publish.status, publish.operations.count()) == (Status.PUBLISHED, 1)
    assert [
        kind for kind in kinds(publish) if kind in {"publish_requested", "sync_requested", "published"}
    ] == [
        "publish_requested",
        "sync_requested",
        "published",
    ]


def test_a_late_no_to_what_a_publish_asked_for_before_its_keys_changed_does_not_end_it(world: World) -> None:
    publish = draft(world)
    credentials.issue_test_key(world.actor, publish.pk)
    operation = publishing.request_publish(world.actor, publish.pk)
    (old,) = world.agents[0].claim()
    credentials.switch_off(world.actor, publish.pk)
    world.agents[0].answer(old, Outcome.REFUSED, message="no")
    operation.refresh_from_db()
    assert operation.phase == Phase.QUEUED
    world.everybody_confirms()
    publish.refresh_from_db()
    assert (publish.status, publish.generation) == (Status.PUBLISHED, 2)


def test_changed_keys_do_not_prolong_a_publish(world: World) -> None:
    publish = draft(world)
    operation = publishing.request_publish(world.actor, publish.pk)
    credentials.issue_test_key(world.actor, publish.pk)
    deadline = operation.deadline_at
    operation.refresh_from_db()
    assert operation.deadline_at == deadline


def test_a_withdrawal_that_is_going_on_is_the_operation_that_ends_a_key(world: World) -> None:
    publish = closed(world)
    credentials.issue_test_key(world.actor, publish.pk)
    world.everybody_confirms()
    withdrawal = withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    ended = credentials.switch_off(world.actor, publish.pk)
    withdrawal.refresh_from_db()
    assert (ended.operation, withdrawal.phase, withdrawal.generation) == (withdrawal, Phase.QUEUED, 3)


def test_a_switched_off_key_is_proved_on_the_agents_that_took_it_out_and_awaited_from_the_silent_one(
    world: World,
) -> None:
    publish = closed(world)
    key = credentials.issue_test_key(world.actor, publish.pk).credential
    assert of(publish, key) == ([], ["busan-1", "busan-2"])
    world.everybody_confirms()
    assert of(publish, key) == (["busan-1", "busan-2"], [])
    credentials.switch_off(world.actor, publish.pk)
    assert of(publish, key) == ([], ["busan-1", "busan-2"])
    world.agents[0].confirm_all()
    assert of(publish, key) == (["busan-1"], ["busan-2"])
    assert access.auth_context(ProductPublish.objects.get(pk=publish.pk))["may_open_on"] == ["busan-2"]
    world.agents[1].confirm_all()
    assert of(publish, key) == (["busan-1", "busan-2"], [])
    assert access.auth_context(ProductPublish.objects.get(pk=publish.pk))["may_open_on"] == []


def test_what_an_agent_took_out_long_ago_stays_proved_when_it_falls_behind(world: World) -> None:
    publish = closed(world)
    old = credentials.issue_test_key(world.actor, publish.pk).credential
    world.everybody_confirms()
    credentials.switch_off(world.actor, publish.pk)
    world.everybody_confirms()
    new = credentials.issue_test_key(world.actor, publish.pk).credential
    world.agents[0].confirm_all()
    assert of(publish, old) == (["busan-1", "busan-2"], [])
    assert of(publish, new) == (["busan-1"], ["busan-2"])


def test_a_key_that_is_switched_off_while_the_publish_is_frozen_is_said_to_open_still(world: World) -> None:
    publish = closed(world)
    key = credentials.issue_test_key(world.actor, publish.pk).credential
    world.everybody_confirms()
    ProductPublish.objects.update(frozen_at=timezone.now())
    ended = credentials.switch_off(world.actor, publish.pk)
    publish.refresh_from_db()
    assert (ended.operation, publish.sync_wanted) == (None, True)
    assert of(publish, key) == ([], ["busan-1", "busan-2"])
    assert access.auth_context(publish)["may_open_on"] == ["busan-1", "busan-2"]


def test_of_a_publish_that_is_not_live_nothing_is_proved_or_awaited(world: World) -> None:
    for publish in (draft(world), world.withdrawn(auth_mode="api-key", hostname_base="w.localhost")):
        key = credentials.issue_test_key(world.actor, publish.pk).credential
        assert of(publish, key) == ([], [])


def ended(key: Credential) -> None:
    Credential.objects.filter(pk=key.pk).update(expires_at=timezone.now() - LONG_AGO)


@pytest.mark.parametrize("delivered_by", ["push", "pull"])
@pytest.mark.parametrize("during", ["sync", "publish"])
def test_a_key_past_its_end_goes_to_no_agent_although_no_sweep_has_run(
    world: World, monkeypatch: pytest.MonkeyPatch, delivered_by: str, during: str
) -> None:
    publish = closed(world) if during == "sync" else draft(world)
    over, good = (credentials.issue_test_key(world.actor, publish.pk).credential for _ in range(2))
    if during == "publish":
        publishing.request_publish(world.actor, publish.pk)
    ended(over)
    specs: list[Spec] = []
    monkeypatch.setattr(
        delivery, "_send_piece", lambda _agent, items: specs.extend(item.spec for item in items)
    )
    agent = world.agents[0].agent
    if delivered_by == "push":
        delivery.deliver(agent.pk)
    else:
        specs = [item.spec for item in delivery.fetch(agent, (publish.pk,))]
    assert [keys_in(spec) for spec in specs] == [{good.pk}]
    publish.refresh_from_db()
    assert (specs[0].generation, specs[0].digest) == (publish.generation, publish.desired_digest)
    assert dict(Credential.objects.values_list("pk", "state")) == {
        over.pk: KeyState.EXPIRED,
        good.pk: KeyState.ACTIVE,
    }


@pytest.mark.parametrize("delivered_by", ["push", "pull"])
def test_while_the_end_of_a_key_cannot_be_written_down_nothing_with_it_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch, delivered_by: str
) -> None:
    publish = closed(world)
    ended(credentials.issue_test_key(world.actor, publish.pk).credential)
    monkeypatch.setattr(keys, "expire_keys", lambda _publish: None)  # somebody else has it locked
    messages: list[object] = []
    monkeypatch.setattr(delivery, "_send_piece", lambda _agent, items: messages.extend(items))
    agent = world.agents[0].agent
    if delivered_by == "push":
        delivery.deliver(agent.pk)
    else:
        messages = list(delivery.fetch(agent, (publish.pk,)))
    assert messages == []


def test_an_operation_that_has_ended_is_not_given_other_content(world: World) -> None:
    publish = closed(world)
    operation = world.last_operation(publish)
    with pytest.raises(errors.WrongState):
        outbox.amend(operation, Spec.model_validate(operation.spec))


def test_a_silent_agent_s_name_stands_beside_the_key(world: World) -> None:
    AgentLiveness.objects.all().delete()
    publish = draft(world)
    assert access.auth_context(publish)["may_open_on"] == []
