"""Cancel stops a publish that goes on, and undoes it everywhere; a withdrawal or deletion goes on."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core.problems import Forbidden, NotFound
from publishes import errors
from publishes.choices import EventKind, Kind, Phase, Status
from publishes.models import Delivery, Operation, ProductPublish, PublishEvent
from publishes.verbs import cancelling, deleting, publishing, withdrawing
from tests.world import World, nobody_knows


def kinds(publish: ProductPublish) -> list[str]:
    return list(
        PublishEvent.objects.filter(publish=publish)
        .order_by("created_at", "id")
        .values_list("kind", flat=True)
    )


def test_a_cancelled_first_publish_is_taken_off_everywhere_also_where_it_was_confirmed(world: World) -> None:
    publish = world.draft()
    operation = publishing.request_publish(world.actor, publish.pk)
    world.agents[0].confirm_all()

    cancelling.cancel(world.actor, publish.pk)
    operation.refresh_from_db()
    publish.refresh_from_db()
    assert (operation.phase, publish.status, publish.generation, publish.desired_state) == (
        Phase.CANCELLED,
        Status.DRAFT,
        2,
        "absent",
    )
    back = world.last_operation(publish)
    assert (back.kind, back.actor_label) == (Kind.REVERT, "acme-owner")
    assert {row.agent.name for row in Delivery.objects.filter(operation=back)} == {"busan-1", "busan-2"}
    assert set(
        Delivery.objects.filter(operation=operation, agent=world.agents[1].agent).values_list(
            "phase", flat=True
        )
    ) == {Phase.SUPERSEDED}

    world.everybody_confirms()
    publish.refresh_from_db()
    assert (publish.status, publish.claimed_host) == (Status.DRAFT, None)
    assert kinds(publish) == ["created", "publish_requested", "cancelled", "going_back", "went_back"]
    assert not PublishEvent.objects.filter(publish=publish, to_status=Status.PUBLISHED).exists()


def test_a_cancelled_publish_again_goes_back_to_410(world: World) -> None:
    publish = world.withdrawn()
    publishing.request_publish(world.actor, publish.pk)
    cancelling.cancel(world.actor, publish.pk)
    world.everybody_confirms()
    publish.refresh_from_db()
    assert (publish.status, publish.desired_state, publish.generation) == (Status.WITHDRAWN, "withdrawn", 4)
    assert publish.claimed_host == "payment-api.dev.kr-seoul.localhost"


def test_an_agents_late_word_on_what_was_cancelled_changes_nothing(world: World) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    world.agents[0].confirm_all()
    (waiting,) = world.agents[1].claim()
    cancelling.cancel(world.actor, publish.pk)
    world.agents[1].answer(waiting)
    publish.refresh_from_db()
    assert (publish.status, world.last_operation(publish).phase) == (Status.DRAFT, Phase.QUEUED)


def test_after_cancelling_it_can_be_published_at_once(world: World) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    cancelling.cancel(world.actor, publish.pk)
    publishing.request_publish(world.actor, publish.pk)
    world.everybody_confirms()
    publish.refresh_from_db()
    assert (publish.status, publish.generation) == (Status.PUBLISHED, 3)
    assert list(
        Operation.objects.filter(publish=publish, kind=Kind.REVERT).values_list("phase", flat=True)
    ) == [Phase.SUPERSEDED]


@pytest.mark.parametrize("verb", ["withdraw", "delete"])
def test_what_is_being_taken_off_cannot_be_cancelled_and_stays_wanted(world: World, verb: str) -> None:
    publish = world.published() if verb == "withdraw" else world.withdrawn()
    operation = (
        withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
        if verb == "withdraw"
        else deleting.request_delete(world.actor, publish.pk)
    )
    with pytest.raises(errors.NotCancellable):
        cancelling.cancel(world.actor, publish.pk)
    assert operation is not None
    operation.refresh_from_db()
    assert operation.phase == Phase.QUEUED
    assert not PublishEvent.objects.filter(kind=EventKind.CANCELLED).exists()


def test_only_the_operation_that_was_seen_is_cancelled(world: World) -> None:
    publish = world.draft()
    first = publishing.request_publish(world.actor, publish.pk)
    cancelling.cancel(world.actor, publish.pk, operation_id=first.pk)
    second = publishing.request_publish(world.actor, publish.pk)
    for operation_id in (first.pk, nobody_knows()):
        with pytest.raises(errors.WrongState):
            cancelling.cancel(world.actor, publish.pk, operation_id=operation_id)
    second.refresh_from_db()
    assert second.phase == Phase.QUEUED


def test_who_may_cancel_and_when(world: World, other: World) -> None:
    publish = world.draft()
    with pytest.raises(errors.WrongState):
        cancelling.cancel(world.actor, publish.pk)
    publishing.request_publish(world.actor, publish.pk)
    with pytest.raises(Forbidden):
        cancelling.cancel(world.viewer, publish.pk)
    with pytest.raises(NotFound):
        cancelling.cancel(other.actor, publish.pk)
    world.everybody_confirms()
    with pytest.raises(errors.WrongState):
        cancelling.cancel(world.actor, publish.pk)
    publish.refresh_from_db()
    assert publish.status == Status.PUBLISHED


@pytest.mark.parametrize(
    "began", [timedelta(days=-30), timedelta(seconds=5)], ids=["long-ago", "on-a-clock-that-is-ahead"]
)
def test_whenever_an_operation_began_it_can_end(world: World, began: timedelta) -> None:
    publish = world.draft()
    operation = publishing.request_publish(world.actor, publish.pk)
    Operation.objects.filter(pk=operation.pk).update(created_at=timezone.now() + began)
    ended = cancelling.cancel(world.actor, publish.pk)
    assert ended.phase == Phase.CANCELLED
    assert (ended.took_ms == 0) is (began > timedelta())
