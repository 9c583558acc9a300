"""The phases of operations and deliveries: a pair in the table is a move, every other pair is refused.

A refused move leaves the row as it was.
"""

import itertools
from typing import Any

import pytest
from django.db.models.query import QuerySet
from django.utils import timezone

from publishes import errors
from publishes.choices import OPEN_PHASES, Phase, Status
from publishes.engine import lifecycle, outbox
from publishes.models import Delivery, Operation, ProductPublish, PublishEvent
from tests.world import World

PAIRS = list(itertools.product(Phase, Phase))
Q, S, OK, NO, C, X = (
    Phase.QUEUED,
    Phase.SENT,
    Phase.SUCCEEDED,
    Phase.FAILED,
    Phase.CANCELLED,
    Phase.SUPERSEDED,
)
OF_OPERATIONS = {(Q, Q), (Q, S), (Q, OK), (Q, NO), (Q, C), (Q, X), (S, Q), (S, OK), (S, NO), (S, C), (S, X)}
OF_DELIVERIES = {
    (Q, Q),
    (Q, S),
    (Q, OK),
    (Q, NO),
    (Q, X),
    (S, Q),
    (S, S),
    (S, OK),
    (S, NO),
    (S, X),
    (NO, Q),
    (NO, OK),
    (OK, Q),
}


def put(rows: QuerySet[Any], phase: Phase) -> None:
    """The row as if it had come to this phase."""
    rows.update(phase=phase, finished_at=None if phase in OPEN_PHASES else timezone.now())


@pytest.mark.parametrize(
    ("model", "allowed"),
    [(Operation, OF_OPERATIONS), (Delivery, OF_DELIVERIES)],
    ids=["operation", "delivery"],
)
def test_every_pair_of_phases_is_made_or_refused_as_the_table_says(
    world: World, model: type[Operation | Delivery], allowed: set[tuple[Phase, Phase]]
) -> None:
    operation = world.last_operation(world.published())
    rows: QuerySet[Any] = (
        Operation.objects.filter(pk=operation.pk)
        if model is Operation
        else Delivery.objects.filter(pk=operation.deliveries.all()[0].pk)
    )
    moved = set()
    for before, after in PAIRS:
        put(rows, before)
        unchanged = rows.values().get()
        if lifecycle.advance(rows, after):
            moved.add((before, after))
            row = rows.get()
            assert (row.phase, row.finished_at is None) == (after, after in OPEN_PHASES)
        else:
            assert rows.values().get() == unchanged
    assert moved == allowed


@pytest.mark.parametrize(
    ("model", "allowed"),
    [(Operation, OF_OPERATIONS), (Delivery, OF_DELIVERIES)],
    ids=["operation", "delivery"],
)
def test_rows_that_go_different_ways_are_moved_by_the_same_table(
    world: World, model: type[Operation | Delivery], allowed: set[tuple[Phase, Phase]]
) -> None:
    operation = world.last_operation(world.published())
    rows: QuerySet[Any] = (
        Operation.objects.filter(pk=operation.pk)
        if model is Operation
        else Delivery.objects.filter(pk=operation.deliveries.all()[0].pk)
    )
    moved = set()
    for before, after in PAIRS:
        put(rows, before)
        unchanged = rows.values().get()
        try:
            lifecycle.advance_locked([(rows.get(), after)], [])
        except errors.WrongState:
            assert rows.values().get() == unchanged
            continue
        moved.add((before, after))
        row = rows.get()
        assert (row.phase, row.finished_at is None) == (after, after in OPEN_PHASES)
    assert moved == allowed


def test_of_many_rows_none_is_moved_when_one_may_not(world: World) -> None:
    first, second = Delivery.objects.filter(operation=world.last_operation(world.published()))
    put(Delivery.objects.filter(pk=first.pk), Phase.SENT)
    first.refresh_from_db()
    with pytest.raises(errors.WrongState):
        lifecycle.advance_locked([(first, Phase.FAILED), (second, Phase.FAILED)], [])
    assert list(
        Delivery.objects.filter(pk__in=[first.pk, second.pk])
        .order_by("phase")
        .values_list("phase", flat=True)
    ) == [Phase.SENT, Phase.SUCCEEDED]


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.SUPERSEDED])
def test_what_has_ended_is_not_ended_otherwise(world: World, phase: Phase) -> None:
    operation = world.last_operation(world.published())
    put(Operation.objects.filter(pk=operation.pk), phase)
    operation.refresh_from_db()
    operation.error = "late"
    with pytest.raises(errors.WrongState):
        outbox.close([operation], Phase.FAILED)
    operation.refresh_from_db()
    assert (operation.phase, operation.error) == (phase, "")


@pytest.mark.parametrize(
    ("before", "to"),
    [
        (Status.PUBLISHED, Status.PUBLISHED),
        (Status.DRAFT, Status.WITHDRAWN),
        (Status.WITHDRAWN, Status.WITHDRAWN),
    ],
)
def test_a_status_that_somebody_else_has_moved_is_not_moved_again(
    world: World, before: Status, to: Status
) -> None:
    operation = world.last_operation(world.published())
    ProductPublish.objects.filter(pk=operation.publish_id).update(status=before)
    event_ids = list(PublishEvent.objects.values_list("pk", flat=True))
    with pytest.raises(errors.WrongState):
        lifecycle.move([operation], to, evidence={operation.pk: {}})
    assert ProductPublish.objects.get(pk=operation.publish_id).status == before
    assert list(PublishEvent.objects.values_list("pk", flat=True)) == event_ids
