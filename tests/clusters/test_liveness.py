"""Liveness: derived states of agents and clusters, their events, and the texts of waiting deliveries."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters import services as agents
from clusters.models import Agent, AgentEvent, AgentLiveness, Cluster
from publishes import sweeping
from publishes.api.places import ClusterOut
from publishes.choices import Phase
from publishes.models import Delivery
from publishes.reading.facts import places
from publishes.verbs import publishing
from tests.world import World


def status_of(name: str) -> str:
    return str(getattr(Agent.objects.with_status().get(name=name), "status"))  # noqa: B009 - annotated


def cluster_status(world: World) -> str:
    return str(getattr(Cluster.objects.with_status().get(pk=world.cluster.pk), "status"))  # noqa: B009 - annotated


def last_seen(seconds_ago: float, **of: object) -> None:
    AgentLiveness.objects.filter(**of).update(last_seen_at=timezone.now() - timedelta(seconds=seconds_ago))


def events() -> list[tuple[str, str]]:
    return list(AgentEvent.objects.order_by("created_at", "id").values_list("agent_name", "kind"))


def test_an_agent_is_pending_connected_disconnected_or_blocked(world: World) -> None:
    world.add_agent("new", connected=False)
    assert (status_of("new"), status_of("busan-1")) == ("pending", "connected")
    last_seen(29, agent__name="busan-1")
    assert status_of("busan-1") == "connected"
    last_seen(31, agent__name="busan-1")
    assert status_of("busan-1") == "disconnected"
    agents.block(Agent.objects.get(name="busan-1"), by="operator")
    assert status_of("busan-1") == "blocked"


def test_a_cluster_is_what_its_agents_and_operators_make_of_it(world: World) -> None:
    assert cluster_status(world) == "active"
    last_seen(31)
    assert cluster_status(world) == "inactive"
    Cluster.objects.update(maintenance=True)
    assert cluster_status(world) == "maintenance"
    Cluster.objects.update(maintenance=False)
    Agent.objects.all().delete()
    world.add_agent("new", connected=False)
    assert cluster_status(world) == "pending"


@pytest.mark.parametrize(("absence", "status"), [("never heard of", "pending"), ("blocked", "inactive")])
def test_a_cluster_is_in_the_same_state_for_operators_pages_and_programs(
    world: World, absence: str, status: str
) -> None:
    if absence == "blocked":
        for voice in world.agents:
            agents.block(voice.agent, by="operator")
    else:
        AgentLiveness.objects.all().delete()
    (card,) = places.clusters(None)
    assert (cluster_status(world), card.status, ClusterOut.of(card).status) == (status, status, status)
    assert card.refusal


def test_coming_and_going_is_written_down_once(world: World) -> None:
    sweeping.sweep()
    sweeping.sweep()
    assert sorted(events()) == [("busan-1", "connected"), ("busan-2", "connected")]
    AgentEvent.objects.all().delete()
    last_seen(31, agent__name="busan-2")
    sweeping.sweep()
    sweeping.sweep()
    last_seen(0, agent__name="busan-2")
    sweeping.sweep()
    assert events() == [("busan-2", "disconnected"), ("busan-2", "connected")]


def test_a_gateway_that_stops_answering_is_written_down_with_the_agents_words(world: World) -> None:
    sweeping.sweep()
    AgentEvent.objects.all().delete()
    AgentLiveness.objects.filter(agent__name="busan-1").update(
        gateway_ok=False, gateway_error="Envoy is DRAINING."
    )
    sweeping.sweep()
    AgentLiveness.objects.update(gateway_ok=True, gateway_error="")
    sweeping.sweep()
    assert events() == [("busan-1", "gateway_down"), ("busan-1", "gateway_up")]
    assert AgentEvent.objects.get(kind="gateway_down").message == "Envoy is DRAINING."


def test_who_is_found_gone_is_explained_on_what_waits_for_it(world: World) -> None:
    sweeping.sweep()
    publishing.request_publish(world.actor, world.draft().pk)
    last_seen(31, agent__name="busan-2")
    sweeping.sweep()
    message_by_agent = dict(Delivery.objects.values_list("agent__name", "message"))
    assert message_by_agent == {
        "busan-1": "",
        "busan-2": (
            "The agent has not been heard of since three heartbeats. It catches up by itself when it is back."
        ),
    }
    last_seen(0, agent__name="busan-2")
    world.everybody_confirms()
    assert set(Delivery.objects.values_list("phase", "message", "code")) == {(Phase.SUCCEEDED, "", "")}


@pytest.mark.parametrize("change", ["block", "unblock"])
def test_blocking_is_written_down_with_who_did_it(world: World, change: str) -> None:
    agent = world.agents[0].agent
    agents.block(agent, by="operator")
    agents.unblock(agent, by="operator")
    getattr(agents, change)(agent, by="operator")
    lines = list(AgentEvent.objects.order_by("id").values_list("kind", "by"))
    expected = [("blocked", "operator"), ("unblocked", "operator"), ("blocked", "operator")]
    assert lines == expected[: 3 if change == "block" else 2]


def test_events_outlive_their_agent_and_end_after_90_days(world: World) -> None:
    sweeping.sweep()
    Agent.objects.all().delete()
    assert AgentEvent.objects.count() == 2
    AgentEvent.objects.filter(agent_name="busan-1").update(created_at=timezone.now() - timedelta(days=91))
    sweeping.tidy()
    assert [event.agent_name for event in AgentEvent.objects.all()] == ["busan-2"]
