"""Syncs: changed credentials go out with the deployed services, and stop no person's operation."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agent.protocol.messages import Outcome
from agent.protocol.spec import Spec
from publishes import errors, spec, sweeping
from publishes.callers import credentials
from publishes.choices import Kind, Phase, Status
from publishes.engine import outbox, syncs
from publishes.models import Delivery, Operation, ProductPublish
from publishes.reading.detail.snapshot import snapshot_of
from publishes.reading.facts import selectors
from publishes.verbs import publishing, withdrawing
from tests.publishes.callers.test_credentials import closed, draft
from tests.publishes.engine.test_line import kinds
from tests.world import World, add_service


def open_kinds(publish: ProductPublish) -> list[str]:
    return list(
        publish.operations.filter(phase__in=[Phase.QUEUED, Phase.SENT]).values_list("kind", flat=True)
    )


def test_a_sync_carries_the_services_that_were_deployed_and_not_what_the_product_became(world: World) -> None:
    publish = closed(world)
    add_service(world.product, "Later Service", "/later", ["GET"])
    credentials.issue_test_key(world.actor, publish.pk)
    first, second = publish.operations.order_by("generation")
    before, after = Spec.model_validate(first.spec), Spec.model_validate(second.spec)
    assert (after.services, after.host, after.generation) == (before.services, before.host, 2)
    assert [len(spec.auth.keys) for spec in (before, after)] == [0, 1]
    world.everybody_confirms()
    publish.refresh_from_db()
    assert selectors.deployed_spec_of(publish) == after


def test_of_all_that_was_ever_deployed_only_the_newest_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    publishes = [world.published(hostname_base=f"{name}.localhost") for name in ("one", "two")]
    newest = []
    for publish in publishes:
        first = publish.operations.get()
        values = {
            "kind": Kind.SYNC,
            "phase": Phase.SUCCEEDED,
            "digest": first.digest,
            "deadline_at": timezone.now(),
            "finished_at": timezone.now(),
        }
        later = range(2, 22)
        Operation.objects.bulk_create(
            Operation(publish=publish, generation=n, spec=first.spec | {"generation": n}, **values)
            for n in later
        )
        failed = values | {"phase": Phase.FAILED}
        Operation.objects.create(
            publish=publish, generation=22, spec=first.spec | {"generation": 22}, **failed
        )
        newest.append((publish.pk, 21))
    draft = world.draft()
    read: list[object] = []

    def counted(value: object) -> Spec:
        read.append(value)
        return validate(value)

    validate = Spec.model_validate
    monkeypatch.setattr(Spec, "model_validate", counted)
    with django_assert_num_queries(1):
        specs = selectors.deployed_specs_of([*publishes, draft])
    assert [(pk, spec.generation) for pk, spec in sorted(specs.items())] == sorted(newest)
    assert len(read) == 2


def test_a_newer_sync_takes_the_place_of_an_open_one(world: World) -> None:
    publish = closed(world)
    credentials.issue_test_key(world.actor, publish.pk)
    credentials.switch_off(world.actor, publish.pk)
    assert [
        (operation.generation, operation.phase) for operation in publish.operations.order_by("generation")
    ] == [
        (1, "SUCCEEDED"),
        (2, "SUPERSEDED"),
        (3, "QUEUED"),
    ]
    assert open_kinds(publish) == [Kind.SYNC]


def test_a_sync_is_never_in_the_way_of_a_person_s_withdrawal(world: World) -> None:
    publish = closed(world)
    credentials.issue_test_key(world.actor, publish.pk)
    withdrawing.request_withdraw(world.actor, publish.pk, reason="over")
    assert open_kinds(publish) == [Kind.WITHDRAW]
    world.everybody_confirms()
    publish.refresh_from_db()
    assert publish.status == "WITHDRAWN"
    credentials.issue_test_key(world.actor, publish.pk)
    assert publish.operations.order_by("generation").last().kind == Kind.WITHDRAW  # type: ignore[union-attr]


@pytest.mark.parametrize("status", ["DRAFT", "WITHDRAWN"])
def test_what_is_not_live_takes_its_keys_with_the_next_publish(world: World, status: str) -> None:
    publish = draft(world) if status == "DRAFT" else world.withdrawn(auth_mode="api-key")
    count_before = publish.operations.count()
    credentials.issue_test_key(world.actor, publish.pk)
    publish.refresh_from_db()
    assert (publish.operations.count(), publish.sync_wanted) == (count_before, False)
    publishing.request_publish(world.actor, publish.pk)
    assert len(Spec.model_validate(world.last_operation(publish).spec).auth.keys) == 1


def test_while_somebody_publishes_a_key_goes_out_with_that_very_operation(world: World) -> None:
    publish = draft(world)
    operation = publishing.request_publish(world.actor, publish.pk)
    issued = credentials.issue_test_key(world.actor, publish.pk)
    publish.refresh_from_db()
    assert (publish.sync_wanted, open_kinds(publish), issued.operation) == (False, [Kind.PUBLISH], operation)
    world.everybody_confirms()
    sweeping.sweep()
    publish.refresh_from_db()
    assert (publish.status, publish.sync_wanted, open_kinds(publish)) == ("PUBLISHED", False, [])
    assert [key.id for key in Spec.model_validate(world.last_operation(publish).spec).auth.keys] == [
        issued.credential.pk
    ]
    assert publish.operations.count() == 1


def test_a_publish_that_failed_needs_no_sync(world: World) -> None:
    publish = draft(world)
    publishing.request_publish(world.actor, publish.pk)
    credentials.issue_test_key(world.actor, publish.pk)
    for voice in world.agents:
        for waiting in voice.claim():
            voice.answer(waiting, Outcome.REFUSED, message="no")
    sweeping.sweep()
    publish.refresh_from_db()
    assert (publish.status, publish.sync_wanted) == ("DRAFT", False)
    assert Kind.SYNC not in publish.operations.values_list("kind", flat=True)


def test_a_failed_withdrawal_is_not_undone_by_a_sync(world: World) -> None:
    publish = closed(world)
    withdrawing.request_withdraw(world.actor, publish.pk, reason="over")
    Operation.objects.filter(kind=Kind.WITHDRAW).update(deadline_at=timezone.now() - timedelta(seconds=1))
    sweeping.sweep()
    credentials.issue_test_key(world.actor, publish.pk)
    publish.refresh_from_db()
    assert (publish.status, publish.desired_state, publish.generation) == ("PUBLISHED", "withdrawn", 2)


def test_a_sync_that_fails_says_so_and_changes_no_status(world: World) -> None:
    publish = closed(world)
    credentials.issue_test_key(world.actor, publish.pk)
    for voice in world.agents:
        for waiting in voice.claim():
            voice.answer(waiting, Outcome.REFUSED, message="no such header")
    publish.refresh_from_db()
    operation = world.last_operation(publish)
    assert (publish.status, operation.kind, operation.phase) == ("PUBLISHED", Kind.SYNC, Phase.FAILED)
    assert kinds(publish)[-1] == "failed"
    assert "going_back" not in kinds(publish)


def test_nothing_changed_is_no_operation(world: World) -> None:
    publish = closed(world)
    assert syncs.sync_by_id(publish.pk) is None
    assert publish.operations.count() == 1


def test_a_page_with_many_syncs_behind_it_asks_no_more(
    world: World, django_assert_num_queries: object
) -> None:
    publish = closed(world)
    for _ in range(3):
        credentials.issue_test_key(world.actor, publish.pk)
        world.everybody_confirms()
    situation = snapshot_of(world.actor, publish.pk)
    assert situation.operation is not None
    assert situation.following is not None
    assert (situation.operation.kind, situation.following.kind, situation.following.generation) == (
        Kind.PUBLISH,
        Kind.SYNC,
        4,
    )


@pytest.mark.parametrize("kind", [Kind.SYNC, Kind.HEAL])
def test_the_systems_own_changes_wait_for_peoples_and_for_adoption(world: World, kind: Kind) -> None:
    publish = world.published()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    publish.refresh_from_db()
    with pytest.raises(errors.AlreadyInProgress):
        outbox.enqueue(publish, kind, spec.live(publish))
    world.everybody_confirms()
    publish.frozen_at = timezone.now()
    with pytest.raises(errors.Frozen):
        outbox.enqueue(publish, kind, spec.live(publish))
    assert world.last_operation(publish).kind == Kind.WITHDRAW


def test_the_systems_own_changes_are_superseded_by_anything_newer(world: World) -> None:
    publish = world.published()
    healing = outbox.enqueue(publish, Kind.HEAL, spec.live(publish))
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    healing.refresh_from_db()
    assert healing.phase == Phase.SUPERSEDED
    assert set(Delivery.objects.filter(operation=healing).values_list("phase", flat=True)) == {
        Phase.SUPERSEDED
    }
    world.everybody_confirms()
    publish.refresh_from_db()
    assert (publish.status, publish.generation) == (Status.WITHDRAWN, 3)
