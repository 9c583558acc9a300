"""Restored backups: an agent with an old disk heals forward.

An old control plane raises alarms and changes nothing until an operator adopts.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from agent.drivers.memory import MemoryGateway
from agent.protocol.messages import Carried, KeysLetIn, LetIn, Outcome, Report
from agent.protocol.spec import State
from clusters.models import Agent
from core.admin import CONFIRMED
from publishes import errors, spec
from publishes.callers import credentials
from publishes.choices import EventKind, KeyState, Kind, Phase, Status
from publishes.engine import adoption, outbox, reports
from publishes.models import Alarm, Delivery, Operation, ProductPublish, PublishEvent
from publishes.verbs import cancelling, deleting, publishing, withdrawing
from tenants.models import User
from tests.program import Program, desired_states
from tests.world import World


@pytest.fixture
def program(world: World, tmp_path: Path) -> Program:
    """The one agent of the cluster."""
    Agent.objects.all().delete()
    world.agents.clear()
    return Program(world.add_agent("busan-1"), tmp_path / "one")


@contextmanager
def forgotten() -> Iterator[None]:
    """Roll the control plane back at the end, as a restored dump does; agents and gateways go on."""
    dump = transaction.savepoint()
    yield
    transaction.savepoint_rollback(dump)


def publish_live(world: World, program: Program, **changes: str) -> ProductPublish:
    publish = world.draft(**changes)
    publishing.request_publish(world.actor, publish.pk)
    program.beat()
    publish.refresh_from_db()
    assert publish.status == Status.PUBLISHED
    return publish


def withdraw_and_publish_again(world: World, program: Program, publish: ProductPublish) -> None:
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    program.beat()
    publishing.request_publish(world.actor, publish.pk)
    program.beat()


def test_an_agent_with_an_old_disk_heals_forward_and_never_back(
    world: World, program: Program, tmp_path: Path
) -> None:
    publish, other = publish_live(world, program), publish_live(world, program, hostname_base="o.localhost")
    shutil.copytree(program.folder, tmp_path / "backup")
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    program.beat()
    shutil.copytree(tmp_path / "backup", program.folder, dirs_exist_ok=True)
    program.start()

    withdrawing.request_withdraw(world.actor, other.pk, reason="x")
    count_before = len(program.gateway.changes)
    program.beat()
    assert program.gateway.changes[count_before:] == [{other.pk}]
    assert program.serves() == desired_states() == {publish.pk: (2, "withdrawn"), other.pk: (2, "withdrawn")}
    assert program.store.records[publish.pk].highest == 2
    assert program.beat().report is False
    assert not Alarm.objects.exists()


def test_an_agent_without_any_disk_takes_its_gateway_over_as_it_is(world: World, program: Program) -> None:
    publish = publish_live(world, program)
    shutil.rmtree(program.folder)
    program.folder.mkdir()
    program.start()
    count_before = len(program.gateway.changes)
    program.beat()
    assert program.serves() == {publish.pk: (1, "live")}
    assert len(program.gateway.changes) == count_before
    assert program.beat().report is False


def test_a_restored_control_plane_sounds_the_alarm_changes_nothing_and_refuses_every_verb(
    world: World, program: Program
) -> None:
    publish = publish_live(world, program)
    with forgotten():
        withdraw_and_publish_again(world, program, publish)
    before = program.serves()
    for _ in range(3):
        program.beat()
    publish.refresh_from_db()
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.publish_id, alarm.generation, alarm.state) == (
        "generation_ahead",
        publish.pk,
        3,
        "live",
    )
    assert publish.frozen_at is not None
    assert program.serves() == before == {publish.pk: (3, "live")}
    verbs: list[Callable[[], object]] = [
        lambda: withdrawing.request_withdraw(world.actor, publish.pk, reason="x"),
        lambda: publishing.request_publish(world.actor, publish.pk),
        lambda: deleting.request_delete(world.actor, publish.pk),
    ]
    for verb in verbs:
        with pytest.raises(errors.Frozen):
            verb()
    assert list(PublishEvent.objects.filter(kind=EventKind.FROZEN).values_list("evidence", flat=True)) == [
        {"agent": "busan-1", "generation": 3, "known": 1}
    ]
    assert Operation.objects.count() == 1


def test_adopting_what_the_control_plane_knows_brings_all_in_step_by_a_higher_generation(
    world: World, program: Program
) -> None:
    publish = publish_live(world, program)
    with forgotten():
        withdraw_and_publish_again(world, program, publish)
        withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
        program.beat()
    program.beat()
    operation = adoption.adopt(publish.pk, by="operator", as_carried=False)
    assert (operation.kind, operation.generation) == (Kind.HEAL, 5)
    program.beat()
    publish.refresh_from_db()
    operation.refresh_from_db()
    assert program.serves() == desired_states() == {publish.pk: (5, "live")}
    assert (publish.status, publish.frozen_at, operation.phase) == (Status.PUBLISHED, None, Phase.SUCCEEDED)
    alarm = Alarm.objects.get()
    assert (alarm.closed_by, alarm.closed_at is not None) == ("operator", True)
    assert program.beat().report is False
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")


@pytest.mark.parametrize(
    ("dump", "since", "status", "ends"),
    [
        ("draft", "live", Status.PUBLISHED, "live"),
        ("live", "withdrawn", Status.WITHDRAWN, "withdrawn"),
        ("withdrawn", "live", Status.PUBLISHED, "live"),
        ("live", "deleted", Status.WITHDRAWN, "withdrawn"),
    ],
)
def test_adopting_what_the_agents_carry_moves_the_status_that_does_not_fit(
    world: World, program: Program, dump: str, since: str, status: str, ends: str
) -> None:
    publish = world.draft()
    failed = publishing.request_publish(world.actor, publish.pk)
    cancelling.cancel(world.actor, publish.pk, operation_id=failed.pk)
    program.beat()
    for verb in {"draft": "", "live": "p", "withdrawn": "pw"}[dump]:
        ask(world, program, publish, verb)
    with forgotten():
        for verb in {"live": "p", "withdrawn": "w", "deleted": "wd"}[since]:
            ask(world, program, publish, verb)
    program.beat()
    adoption.adopt(publish.pk, by="operator", as_carried=True)
    program.beat()
    publish.refresh_from_db()
    assert publish.status == status
    assert [state for _generation, state in program.serves().values()] == [ends]
    assert program.serves() == desired_states()


def ask(world: World, program: Program, publish: ProductPublish, verb: str) -> None:
    if verb == "p":
        publishing.request_publish(world.actor, publish.pk)
    elif verb == "w":
        withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    else:
        deleting.request_delete(world.actor, publish.pk)
    program.beat()


@pytest.mark.parametrize("as_carried", [True, False], ids=["as carried", "as known"])
def test_a_key_that_was_switched_off_after_the_dump_stays_off_and_the_others_go_on(
    world: World, program: Program, as_carried: bool
) -> None:
    publish = publish_live(world, program, auth_mode="api-key")
    active, switched_off = (credentials.issue_test_key(world.actor, publish.pk).credential for _ in range(2))
    program.beat()
    with forgotten():
        credentials.switch_off(world.actor, publish.pk, credential_id=switched_off.pk)
        credentials.issue_test_key(world.actor, publish.pk)
        program.beat()
    program.beat()
    operation = adoption.adopt(publish.pk, by="operator", as_carried=as_carried)
    program.beat()
    assert [key.id for key in program.gateway.carried[publish.pk].spec.auth.keys] == [active.pk]
    assert {key.pk: key.state for key in publish.credentials.all()} == {
        active.pk: KeyState.ACTIVE,
        switched_off.pk: KeyState.OFF,
    }
    evidence = PublishEvent.objects.get(operation=operation, kind=EventKind.ADOPTED).evidence
    assert (evidence["keys_off"], evidence["keys_lost"]) == (1, 1)
    (ended,) = PublishEvent.objects.filter(publish=publish, kind=EventKind.KEY_OFF)
    assert (ended.actor_label, ended.evidence) == (
        "operator",
        {"key": switched_off.fingerprint[:8], "because": "adopted"},
    )


def test_keys_of_which_no_agent_can_say_that_it_lets_them_in_are_switched_off_by_an_adoption(
    world: World, program: Program
) -> None:
    publish = publish_live(world, program, auth_mode="api-key")
    key = credentials.issue_test_key(world.actor, publish.pk).credential
    program.beat()
    with forgotten():
        credentials.switch_off(world.actor, publish.pk)
        withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
        program.beat()
    program.beat()
    adoption.adopt(publish.pk, by="operator", as_carried=False)
    program.beat()
    key.refresh_from_db()
    assert (key.state, program.gateway.carried[publish.pk].spec.auth.keys) == (KeyState.OFF, ())


def test_what_one_agent_says_of_an_older_generation_lets_no_key_in(world: World, program: Program) -> None:
    publish = publish_live(world, program, auth_mode="api-key")
    key = credentials.issue_test_key(world.actor, publish.pk).credential
    program.beat()
    with forgotten():
        withdraw_and_publish_again(world, program, publish)
    program.beat()
    alarm = Alarm.objects.get()
    stale = LetIn(publish_id=publish.pk, generation=alarm.generation - 1, keys=(key.pk,))
    Alarm.objects.update(let_in=[], let_in_at=None)
    adoption.note_keys(program.voice.agent, KeysLetIn(publishes=(stale,)))
    adoption.adopt(publish.pk, by="operator", as_carried=False)
    key.refresh_from_db()
    assert key.state == KeyState.OFF


def test_a_key_that_one_of_two_agents_ahead_does_not_let_in_is_switched_off_by_an_adoption(
    world: World, program: Program, tmp_path: Path
) -> None:
    """The control plane is restored twice: each agent has another content of one generation."""
    other = Program(world.add_agent("busan-2"), tmp_path / "two")
    publish = world.draft(auth_mode="api-key")
    publishing.request_publish(world.actor, publish.pk)
    keys = [credentials.issue_test_key(world.actor, publish.pk).credential for _ in range(2)]
    for agent in (program, other):
        agent.beat()
    for key, agent in zip(keys, (program, other), strict=True):
        with forgotten():
            credentials.switch_off(world.actor, publish.pk, credential_id=key.pk)
            agent.beat()
    for agent in (program, other):
        agent.beat()
    assert sorted(Alarm.objects.values_list("let_in", flat=True)) == sorted([str(key.pk)] for key in keys)
    adoption.adopt(publish.pk, by="operator", as_carried=True)
    for agent in (program, other):
        agent.beat()
        assert agent.gateway.carried[publish.pk].spec.auth.keys == ()
    assert set(publish.credentials.values_list("state", flat=True)) == {KeyState.OFF}


def test_the_operator_reads_which_keys_an_adoption_cost(world: World, program: Program) -> None:
    publish = publish_live(world, program, auth_mode="api-key")
    off = credentials.issue_test_key(world.actor, publish.pk).credential
    program.beat()
    with forgotten():
        credentials.switch_off(world.actor, publish.pk, credential_id=off.pk)
        credentials.issue_test_key(world.actor, publish.pk)
        program.beat()
    program.beat()
    operator = Client(headers={"Accept-Language": "en"})
    operator.force_login(
        User.objects.create_superuser("operator"), "django.contrib.auth.backends.ModelBackend"
    )
    form = {"action": "adopt_as_carried", "_selected_action": [str(Alarm.objects.get().pk)], CONFIRMED: "1"}
    page = operator.post(reverse("admin:publishes_alarm_changelist"), form, follow=True).content.decode()
    assert "Switched off, because no agent says that it lets it in: 1 key." in page
    assert "Made after the dump and lost, its callers get 401 until they have a new one: 1 key." in page


def test_a_publish_asked_for_before_the_first_alarm_fails_and_does_not_go_back(
    world: World, program: Program
) -> None:
    publish = world.draft()
    with forgotten():
        live_one = publishing.request_publish(world.actor, publish.pk)
        program.beat()
        withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
        program.beat()
        publishing.request_publish(world.actor, publish.pk)
        program.beat()
        assert live_one.generation == 1
    operation = publishing.request_publish(world.actor, publish.pk)
    program.fetch([publish.pk])
    operation.refresh_from_db()
    publish.refresh_from_db()
    assert (operation.phase, operation.error_code) == (Phase.FAILED, "generation_ahead")
    assert publish.frozen_at is not None
    assert publish.generation == 1
    assert program.serves() == {publish.pk: (3, "live")}
    assert set(Delivery.objects.values_list("phase", flat=True)) == {Phase.SUPERSEDED}
    assert not Operation.objects.filter(kind=Kind.REVERT).exists()


def test_the_same_generation_with_other_content_is_an_alarm_within_a_heartbeat_and_is_not_overwritten(
    world: World, program: Program
) -> None:
    publish = publish_live(world, program)
    with forgotten():
        ask(world, program, publish, "w")
    publish.refresh_from_db()
    synced = outbox.enqueue(publish, Kind.SYNC, spec.live(publish))
    program.beat()
    publish.refresh_from_db()
    synced.refresh_from_db()
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.generation, alarm.state, publish.frozen_at is not None) == (
        "generation_ahead",
        2,
        "withdrawn",
        True,
    )
    assert (synced.generation, synced.phase) == (2, Phase.SUPERSEDED)
    program.beat()
    assert program.serves() == {publish.pk: (2, "withdrawn")}
    adoption.adopt(publish.pk, by="operator", as_carried=True)
    program.beat()
    publish.refresh_from_db()
    assert (publish.status, publish.frozen_at) == (Status.WITHDRAWN, None)
    assert program.serves() == desired_states() == {publish.pk: (3, "withdrawn")}


def test_the_same_generation_with_other_content_that_is_sent_before_any_heartbeat_is_refused(
    world: World, program: Program
) -> None:
    publish = publish_live(world, program)
    with forgotten():
        ask(world, program, publish, "w")
    publish.refresh_from_db()
    outbox.enqueue(publish, Kind.SYNC, spec.live(publish))
    (result,) = program.fetch([publish.pk])
    assert (result.outcome, result.code, result.highest_generation) == (Outcome.STALE, "other_content", 2)
    publish.refresh_from_db()
    assert publish.frozen_at is not None
    assert program.serves() == {publish.pk: (2, "withdrawn")}
    program.beat()
    assert (Alarm.objects.get().state, program.serves()) == ("withdrawn", {publish.pk: (2, "withdrawn")})


def test_while_it_is_frozen_an_agent_that_is_behind_is_given_nothing_old(
    world: World, program: Program, tmp_path: Path
) -> None:
    publish = publish_live(world, program)
    with forgotten():
        withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
        program.beat()
    program.beat()
    late = Program(world.add_agent("late"), tmp_path / "late")
    late.beat()
    assert late.serves() == {}
    assert late.fetch([publish.pk]) == []


def test_an_unknown_publish_is_an_alarm_and_goes_only_when_an_operator_says_so(
    world: World, program: Program
) -> None:
    with forgotten():
        unknown = publish_live(world, program).pk
    program.beat()
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.publish_id, alarm.publish_ref, alarm.generation) == (
        "unknown_publish",
        None,
        unknown,
        1,
    )
    program.beat()
    assert program.serves() == {unknown: (1, "live")}

    operator = Client(headers={"Accept-Language": "en"})
    operator.force_login(
        User.objects.create_superuser("operator"), "django.contrib.auth.backends.ModelBackend"
    )
    operator.post(
        reverse("admin:publishes_alarm_changelist"),
        {"action": "take_off", "confirmed": "yes", "_selected_action": [str(alarm.pk)]},
    )
    program.beat()
    alarm.refresh_from_db()
    assert program.serves() == {}
    assert (alarm.closed_by, alarm.closed_at is not None) == ("operator", True)
    assert program.store.records[unknown].highest == 2
    assert program.beat().report is False


def test_an_unknown_publish_that_is_gone_closes_its_alarm(world: World, program: Program) -> None:
    with forgotten():
        publish_live(world, program)
    program.beat()
    program.gateway = MemoryGateway()
    shutil.rmtree(program.folder)
    program.folder.mkdir()
    program.start()
    publish_live(world, program)
    assert Alarm.objects.get().closed_at is not None


def test_an_operator_adopts_in_the_admin_and_is_told_why_not(world: World, program: Program) -> None:
    publish = publish_live(world, program)
    with forgotten():
        withdraw_and_publish_again(world, program, publish)
    program.beat()
    operator = Client(headers={"Accept-Language": "en"})
    operator.force_login(
        User.objects.create_superuser("operator"), "django.contrib.auth.backends.ModelBackend"
    )
    path, alarm = reverse("admin:publishes_alarm_changelist"), Alarm.objects.get()
    ProductPublish.objects.update(frozen_at=None)
    refused = operator.post(
        path,
        {"action": "adopt_as_known", "confirmed": "yes", "_selected_action": [str(alarm.pk)]},
        follow=True,
    ).content.decode()
    assert "No agent is ahead of this publish" in refused
    program.beat()
    adopted = operator.post(
        path,
        {"action": "adopt_as_known", "confirmed": "yes", "_selected_action": [str(alarm.pk)]},
        follow=True,
    ).content.decode()
    assert f"Adopted {publish.pk} as v4." in adopted
    program.beat()
    assert program.serves() == {publish.pk: (4, "live")}


def test_the_keys_of_all_pages_of_a_report_are_asked_for_once_with_its_last_one(
    world: World, program: Program
) -> None:
    publish = publish_live(world, program, auth_mode="api-key")
    credentials.issue_test_key(world.actor, publish.pk)
    program.beat()
    with forgotten():
        withdraw_and_publish_again(world, program, publish)
    line = Carried(publish_id=publish.pk, generation=9, digest="e" * 64, state=State.LIVE, verified=True)
    first, last = Report(carried=(line,), until=line.publish_id), Report(carried=(), after=line.publish_id)
    report_answers = [reports.take(program.voice.agent, page) for page in (first, last)]
    assert [answer.keys_asked for answer in report_answers] == [(), (publish.pk,)]
