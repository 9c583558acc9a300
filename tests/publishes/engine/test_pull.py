"""Pull in full: agents converge by their own heartbeats.

Agents without inbound URL, new agents, and agents that were away.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from clusters.models import Agent, AgentLiveness
from clusters.services import create_enrolment_code, enrol
from publishes import sweeping
from publishes.choices import Phase, Status
from publishes.engine import expectations
from publishes.models import Delivery, Observation, Operation, ProductPublish
from publishes.verbs import deleting, publishing, withdrawing
from tests.enrolment import enrol_request
from tests.program import Program, desired_states
from tests.world import World, reported


@pytest.fixture
def puller(world: World, tmp_path: Path) -> Program:
    """The one agent of the cluster; it has no inbound URL."""
    Agent.objects.all().delete()
    world.agents.clear()
    return Program(world.add_agent("pulls", url=""), tmp_path / "pulls")


def go_silent(program: Program) -> None:
    AgentLiveness.objects.filter(agent=program.voice.agent).update(
        last_seen_at=timezone.now() - timedelta(minutes=1)
    )


def test_an_agent_without_inbound_url_works_by_pull_alone(world: World, puller: Program) -> None:
    publish = world.draft()
    asks: list[Callable[[], object]] = [
        lambda: publishing.request_publish(world.actor, publish.pk),
        lambda: withdrawing.request_withdraw(world.actor, publish.pk, reason="x"),
        lambda: publishing.request_publish(world.actor, publish.pk),
    ]
    for ask in asks:
        ask()
        puller.beat()
        assert puller.serves() == desired_states()
        assert world.last_operation(publish).phase == Phase.SUCCEEDED
    assert puller.serves() == {publish.pk: (3, "live")}


def test_it_is_told_to_hurry_while_a_person_waits_for_it_and_no_longer(world: World, puller: Program) -> None:
    assert puller.beat().interval_ms == 10_000
    publishing.request_publish(world.actor, world.draft().pk)
    assert puller.beat().interval_ms == 2_000
    assert puller.beat().interval_ms == 10_000


def test_an_agent_that_can_be_reached_is_never_hurried(world: World, tmp_path: Path) -> None:
    publishing.request_publish(world.actor, world.draft().pk)
    assert Program(world.agents[0], tmp_path / "one").beat().interval_ms == 10_000


def test_nobody_hurries_for_what_was_decided_long_ago(world: World, puller: Program) -> None:
    """A late agent's delivery stays open after its operation closed; that alone is no hurry."""
    publishing.request_publish(world.actor, world.draft().pk)
    Operation.objects.update(phase=Phase.SUCCEEDED, finished_at=timezone.now())
    assert puller.beat().interval_ms == 10_000


def test_f18_a_new_agent_receives_all_that_its_cluster_serves_and_nothing_else(
    world: World, tmp_path: Path
) -> None:
    published, withdrawn = world.published(), world.withdrawn(hostname_base="w.localhost")
    deleted = world.withdrawn(hostname_base="g.localhost")
    deleting.request_delete(world.actor, deleted.pk)
    world.everybody_confirms()
    new = Program(world.add_agent("new", connected=False), tmp_path / "new")
    new.beat()
    assert new.serves() == {published.pk: (1, "live"), withdrawn.pk: (2, "withdrawn")} == desired_states()
    assert new.beat().report is False
    assert not Delivery.objects.filter(agent=new.voice.agent).exists()


def test_an_agent_that_was_away_through_publish_withdraw_and_delete_ends_clean_and_only_then_the_host_is_free(
    world: World, puller: Program
) -> None:
    stays = world.add_agent("stays")
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    stays.confirm_all()
    puller.beat()
    assert puller.serves() == {publish.pk: (1, "live")}

    go_silent(puller)
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    stays.confirm_all()
    deleting.request_delete(world.actor, publish.pk)
    stays.confirm_all()
    sweeping.sweep()
    publish.refresh_from_db()
    assert publish.deleted_at is not None
    assert publish.claimed_host == "payment-api.dev.kr-seoul.localhost"
    assert puller.serves() == {publish.pk: (1, "live")}

    puller.start()
    puller.beat()
    publish.refresh_from_db()
    assert puller.serves() == {}
    assert publish.claimed_host is None
    assert puller.beat().report is False


def test_what_came_and_went_while_an_agent_was_away_never_reaches_it(world: World, puller: Program) -> None:
    stays = world.add_agent("stays")
    puller.beat()
    go_silent(puller)
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    stays.confirm_all()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    stays.confirm_all()
    deleting.request_delete(world.actor, publish.pk)
    stays.confirm_all()
    puller.beat()
    publish.refresh_from_db()
    assert puller.serves() == {}
    assert publish.claimed_host is None
    assert [set(change) for change in puller.gateway.changes] == []


def test_a_stale_word_on_something_deleted_is_asked_for_again(world: World, puller: Program) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    puller.beat()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    puller.beat()
    deleting.request_delete(world.actor, publish.pk)
    puller.beat()
    Observation.objects.update(state="live", generation=1)
    assert puller.beat().report is True
    assert Observation.objects.get().state == "absent"
    assert puller.beat().report is False


def test_what_an_agent_does_not_name_any_more_is_not_kept_as_observed(world: World) -> None:
    world.published()
    agent = world.agents[0].agent
    reported(agent, ())
    assert not Observation.objects.filter(agent=agent).exists()
    assert Observation.objects.count() == 1


def test_enrolled_anew_with_another_driver_it_is_sent_nothing_of_the_old_one_and_nothing_waits_for_it(
    world: World,
) -> None:
    changed, stays = world.agents
    operation = publishing.request_publish(world.actor, world.draft().pk)
    stays.confirm_all()
    code = create_enrolment_code(world.cluster, agent_name=changed.agent.name)
    enrol(enrol_request(code, driver="kong"))
    assert changed.claim() == ()
    sweeping.sweep()
    operation.refresh_from_db()
    publish = ProductPublish.objects.get()
    assert (operation.phase, publish.status) == (Phase.SUCCEEDED, Status.PUBLISHED)
    assert [row.agent_id for row in Delivery.objects.all()] == [stays.agent.pk]

    changed.agent.refresh_from_db()
    assert list(expectations.publishes_of(changed.agent)) == []
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    stays.confirm_all()
    deleting.request_delete(world.actor, publish.pk)
    stays.confirm_all()
    publish.refresh_from_db()
    assert publish.claimed_host is None


def test_a_host_that_a_refusing_agent_of_another_driver_once_held_is_given_back(world: World) -> None:
    publish = world.withdrawn()
    deleting.request_delete(world.actor, publish.pk)
    world.agents[0].confirm_all()
    Delivery.objects.filter(agent=world.agents[1].agent, operation__generation=3).update(
        phase=Phase.FAILED, finished_at=timezone.now()
    )
    sweeping.sweep()
    publish.refresh_from_db()
    assert publish.claimed_host is not None
    Agent.objects.filter(pk=world.agents[1].agent.pk).update(driver="kong")
    sweeping.sweep()
    publish.refresh_from_db()
    assert publish.claimed_host is None
