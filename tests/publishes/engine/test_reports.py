"""What a large report costs and does.

Pages, unknown publishes by the thousand, batches of answers, absences that are forgotten.
"""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from agent.protocol.bounds import REPORT_ROWS
from agent.protocol.messages import Absence, Carried, Outcome, Report, ReportAnswer
from agent.protocol.spec import Spec, State
from agent.work.carried import carried_now, pages_of
from clusters.models import Agent
from publishes import errors, sweeping
from publishes.choices import AlarmKind, Desired, Kind, Phase, Status
from publishes.engine import adoption, alarms, answers, reports
from publishes.models import Alarm, Delivery, Observation, Operation, ProductPublish, PublishEvent
from publishes.verbs import cancelling, deleting, publishing, withdrawing
from tests.program import Program, desired_states
from tests.world import World, reported

DIGEST = "e" * 64


def unknown_rows(count: int) -> tuple[Carried, ...]:
    return tuple(
        Carried(publish_id=uuid4(), generation=3, digest=DIGEST, state=State.LIVE, verified=True)
        for _ in range(count)
    )


def count_queries(step: Any) -> int:
    """How many queries the step took, without savepoints."""
    with CaptureQueriesContext(
        connection,
    ) as captured:
        step()
    return sum("SAVEPOINT" not in query["sql"] for query in captured)


def create_publishes(world: World, count: int) -> list[ProductPublish]:
    """So many publishes with an open first operation and a delivery to each agent, written in bulk."""
    now = timezone.now()
    common: dict[str, Any] = {
        "tenant": world.tenant,
        "product": world.product,
        "cluster": world.cluster,
        "gateway": world.gateway,
        "generation": 1,
    }
    hosts = [f"m{number}.localhost" for number in range(count)]
    rows = [
        ProductPublish(**common, desired_state=Desired.LIVE, hostname_base=host, claimed_host=host)
        for host in hosts
    ]
    for row in rows:
        row.desired_digest = Spec(
            publish_id=row.pk, generation=1, state=State.LIVE, host=row.hostname_base
        ).digest
    ProductPublish.objects.bulk_create(rows)
    operation_values: dict[str, Any] = {
        "kind": Kind.PUBLISH,
        "generation": 1,
        "spec": {},
        "actor_label": "owner",
        "deadline_at": now + timedelta(minutes=2),
    }
    operations = Operation.objects.bulk_create(
        Operation(publish=row, digest=row.desired_digest, **operation_values) for row in rows
    )
    Delivery.objects.bulk_create(
        Delivery(operation=operation, agent=voice.agent, token=uuid4())
        for operation in operations
        for voice in world.agents
    )
    return rows


def carried_of(publishes: Iterable[ProductPublish], **changes: Any) -> tuple[Carried, ...]:
    values = {"generation": 1, "state": State.LIVE, "verified": True} | changes
    return tuple(
        Carried(**{"publish_id": row.pk, "digest": row.desired_digest} | values) for row in publishes
    )


def only_one(world: World) -> Agent:
    world.agents.pop().agent.delete()
    return world.agents[0].agent


@pytest.mark.parametrize("kind", ["unknown", "confirms", "ahead", "behind", "known"])
def test_a_report_costs_the_same_queries_for_one_a_hundred_and_a_thousand_rows(
    world: World, kind: str
) -> None:
    agent, costs = only_one(world), []
    changes_of: dict[str, dict[str, Any]] = {"ahead": {"generation": 7}, "behind": {"verified": False}}
    for count in (1, 100, REPORT_ROWS):
        Alarm.objects.all().delete()
        ProductPublish.objects.all().delete()
        publishes = [] if kind == "unknown" else create_publishes(world, count)
        changes = changes_of.get(kind, {})
        with connection.cursor() as cursor:  # as autovacuum has done for tables that grew like this
            cursor.execute("ANALYZE")
        rows = unknown_rows(count) if kind == "unknown" else carried_of(publishes, **changes)
        if kind == "known":
            reported(agent, rows)
        started = monotonic()
        costs.append(count_queries(lambda rows=rows: reported(agent, rows)))
        # Shown by -s, compared with nothing.
        print(f"{kind} {count}: {costs[-1]} queries, {monotonic() - started:.2f} s")  # noqa: T201
    assert costs == [costs[0]] * 2 + [
        costs[0] + (kind == "unknown")
    ]  # one more for the alarm that says how many more there are
    assert costs[0] <= 17
    if kind == "confirms":
        assert set(ProductPublish.objects.values_list("status", "published_by")) == {
            (Status.PUBLISHED, "owner")
        }
    if kind == "ahead":
        assert (
            ProductPublish.objects.filter(frozen_at__isnull=False).count()
            == Alarm.objects.count()
            == REPORT_ROWS
        )


@pytest.mark.parametrize("outcome", [Outcome.VERIFIED, Outcome.WORKING, Outcome.UNREACHABLE, Outcome.STALE])
def test_a_batch_of_answers_costs_the_same_queries_whatever_its_size(world: World, outcome: Outcome) -> None:
    voice, costs = world.agents[0], []
    only_one(world)
    for count in (2, 100):
        ProductPublish.objects.all().delete()
        create_publishes(world, count)
        waiting = Delivery.objects.select_related("operation__publish")
        batch = [
            voice.result(
                Spec(
                    publish_id=row.operation.publish_id,
                    generation=1,
                    state=State.LIVE,
                    host=row.operation.publish.hostname_base,
                ),
                outcome,
                token=row.token,
                highest_generation=1,
            )
            for row in waiting
        ]
        costs.append(count_queries(lambda batch=batch: answers.record_in_parts(voice.agent, batch)))
    assert costs[0] == costs[1] <= 16
    phases = {Outcome.VERIFIED: Phase.SUCCEEDED, Outcome.STALE: Phase.SUPERSEDED}
    assert set(Delivery.objects.values_list("phase", flat=True)) == {phases.get(outcome, Phase.QUEUED)}
    if outcome is Outcome.VERIFIED:
        assert ProductPublish.objects.filter(status=Status.PUBLISHED).count() == 100
        assert sorted(
            set(
                ProductPublish.objects.values_list("events__kind", "events__from_status", "events__to_status")
            )
        ) == [("published", "DRAFT", "PUBLISHED")]


def test_two_different_answers_about_one_publish_are_taken_in_their_order(world: World) -> None:
    agent = only_one(world)
    publishing.request_publish(world.actor, world.draft().pk)
    (waiting,) = world.agents[0].claim()
    working, verified = (
        world.agents[0].result(waiting.spec, outcome, token=waiting.token)
        for outcome in (Outcome.WORKING, Outcome.VERIFIED)
    )
    answers.record_in_parts(agent, (working, working, verified, verified))
    assert (ProductPublish.objects.get().status, Delivery.objects.get().phase) == (
        Status.PUBLISHED,
        Phase.SUCCEEDED,
    )


def test_a_thousand_unknown_publishes_make_a_hundred_alarms_and_one_that_says_how_many_more(
    world: World,
) -> None:
    agent, rows = world.agents[0].agent, unknown_rows(REPORT_ROWS)
    reported(agent, rows)
    reported(agent, rows)
    more = Alarm.objects.get(kind=AlarmKind.MORE_UNKNOWN)
    assert (Alarm.objects.count(), more.more, more.closed_at) == (
        alarms.UNKNOWN_NAMED + 1,
        REPORT_ROWS - alarms.UNKNOWN_NAMED,
        None,
    )
    named = set(Alarm.objects.filter(kind=AlarmKind.UNKNOWN_PUBLISH).values_list("publish_ref", flat=True))
    assert len(named) == alarms.UNKNOWN_NAMED
    unnamed = [row for row in rows if row.publish_id not in named]
    reported(agent, tuple(unnamed))
    more.refresh_from_db()
    assert (Alarm.objects.filter(closed_at=None).count(), more.more) == (
        alarms.UNKNOWN_NAMED + 1,
        REPORT_ROWS - 2 * alarms.UNKNOWN_NAMED,
    )
    reported(agent, tuple(unnamed[:5]))
    more.refresh_from_db()
    assert (more.more, more.closed_at is not None) == (0, True)


def test_pages_together_say_what_one_report_would(world: World) -> None:
    agent = only_one(world)
    publishes, rows = create_publishes(world, REPORT_ROWS), unknown_rows(REPORT_ROWS + 500)
    standing = carried_of(publishes[:-3])
    pages = pages_of([*standing, *rows])
    assert [len(page.carried) for page in pages] == [REPORT_ROWS, REPORT_ROWS, 497]
    for _again in range(2):
        report_answers = [reports.take(agent, page) for page in pages]
        assert {publish for answer in report_answers for publish in answer.wanted} == {
            publish.pk for publish in publishes[-3:]
        }
        assert Observation.objects.count() == len(standing)
        assert (
            Alarm.objects.filter(closed_at=None, kind=AlarmKind.UNKNOWN_PUBLISH).count()
            == alarms.UNKNOWN_NAMED
        )
        assert Alarm.objects.get(kind=AlarmKind.MORE_UNKNOWN).more == len(rows) - alarms.UNKNOWN_NAMED
    reports.take(agent, Report(carried=()))
    assert (Observation.objects.count(), Alarm.objects.filter(closed_at=None).count()) == (0, 0)


def test_a_draft_of_the_dump_that_is_live_on_an_agent_is_frozen_and_its_alarm_names_it(world: World) -> None:
    draft = world.draft()
    reported(
        world.agents[0].agent,
        (Carried(publish_id=draft.pk, generation=2, digest=DIGEST, state=State.LIVE, verified=True),),
    )
    draft.refresh_from_db()
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.publish, draft.frozen_at is not None) == (
        AlarmKind.GENERATION_AHEAD,
        draft,
        True,
    )
    with pytest.raises(errors.Frozen):
        publishing.request_publish(world.actor, draft.pk)
    with pytest.raises(errors.Frozen):
        deleting.request_delete(world.actor, draft.pk)
    operation = adoption.adopt(draft.pk, by="operator", as_carried=True)
    world.everybody_confirms()
    draft.refresh_from_db()
    assert (operation.generation, draft.status, draft.frozen_at) == (3, Status.PUBLISHED, None)


def gone_for_good(world: World, program: Program) -> UUID:
    """A publish that was live on the program's gateway and was deleted."""
    publish = world.draft()
    for verb in (
        publishing.request_publish,
        lambda actor, pk: withdrawing.request_withdraw(actor, pk, reason="x"),
        deleting.request_delete,
    ):
        verb(world.actor, publish.pk)
        program.beat()
    return publish.pk


def test_an_absence_is_forgotten_by_both_sides_once_it_is_old(
    world: World, tmp_path: Path, settings: Settings
) -> None:
    only_one(world)
    program = Program(world.agents[0], tmp_path / "one")
    deleted = gone_for_good(world, program)
    other = world.draft()
    publishing.request_publish(world.actor, other.pk)
    program.beat()
    assert set(program.store.records) == {deleted, other.pk}
    settings.ABSENCE_KEPT_DAYS = 0
    withdrawing.request_withdraw(world.actor, other.pk, reason="x")
    program.beat()
    assert set(program.store.records) == {other.pk}
    publishing.request_publish(world.actor, other.pk)
    program.beat()
    assert list(Observation.objects.values_list("publish_id", flat=True)) == [other.pk]
    program.start()
    assert set(program.store.records) == {other.pk}
    assert program.serves() == desired_states() == {other.pk: (3, "live")}
    assert (program.beat().report, Alarm.objects.count()) == (False, 0)


def test_an_absence_of_a_draft_that_was_forgotten_is_no_obstacle_to_its_next_publish(
    world: World, tmp_path: Path, settings: Settings
) -> None:
    settings.ABSENCE_KEPT_DAYS = 0
    only_one(world)
    program = Program(world.agents[0], tmp_path / "one")
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    program.beat()
    Operation.objects.update(phase=Phase.SUCCEEDED)
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    program.beat()
    answer: ReportAnswer = reports.take(program.voice.agent, pages_of([])[0])
    assert (answer.forget, answer.wanted) == ((), (publish.pk,))
    program.beat()
    publishing.request_publish(world.actor, publish.pk)
    program.beat()
    assert program.serves() == {publish.pk: (3, "live")}


def test_an_old_absence_is_kept_while_the_agent_has_a_newer_one_to_prove(
    world: World, tmp_path: Path, settings: Settings
) -> None:
    only_one(world)
    program = Program(world.agents[0], tmp_path / "one")
    publish = world.draft()
    for absences in (1, 2):
        operation = publishing.request_publish(world.actor, publish.pk)
        cancelling.cancel(world.actor, publish.pk, operation_id=operation.pk)
        if absences == 1:
            program.beat()
    settings.ABSENCE_KEPT_DAYS = 0
    row = Observation.objects.get()
    assert (row.generation, row.state, row.verified) == (2, "absent", True)
    (page,) = pages_of(carried_now(program.driver, program.store.records))
    answer = reports.take(program.voice.agent, page)
    assert (answer.forget, answer.wanted) == ((), (publish.pk,))
    program.fetch(answer.wanted)
    assert program.store.records[publish.pk].highest == 4
    (page,) = pages_of(carried_now(program.driver, program.store.records))
    forget = reports.take(program.voice.agent, page).forget
    assert forget == (Absence(publish_id=publish.pk, generation=4),)


def test_what_time_alone_decides_tells_the_status_that_was_before(world: World) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    world.agents[0].confirm_all()
    world.agents.pop().agent.delete()
    sweeping.sweep()
    assert list(PublishEvent.objects.filter(kind="published").values_list("from_status", "to_status")) == [
        (Status.DRAFT, Status.PUBLISHED)
    ]
