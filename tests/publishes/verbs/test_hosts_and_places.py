"""A publish keeps its host until no agent serves it, and its cluster and gateway once it was sent there."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from agent.protocol.messages import Outcome
from clusters.models import AgentLiveness, Cluster
from publishes import errors, sweeping
from publishes.engine import hosts
from publishes.verbs import deleting, drafts, publishing
from tests.world import World


def test_a_tombstone_keeps_its_host_until_every_agent_confirmed_or_was_removed(world: World) -> None:
    publish = world.withdrawn()
    absent_agent = world.agents[1].agent
    five_minutes_ago = timezone.now() - timedelta(minutes=5)
    AgentLiveness.objects.filter(agent=absent_agent).update(last_seen_at=five_minutes_ago)
    deleting.request_delete(world.actor, publish.pk)
    world.agents[0].confirm_all()
    publish.refresh_from_db()
    assert publish.deleted_at is not None
    assert publish.claimed_host == "payment-api.dev.kr-seoul.localhost"

    newcomer = world.draft()
    with pytest.raises(errors.HostTaken):
        publishing.request_publish(world.actor, newcomer.pk)

    absent_agent.delete()
    sweeping.sweep()
    publish.refresh_from_db()
    assert publish.claimed_host is None
    publishing.request_publish(world.actor, newcomer.pk)


def test_after_its_first_operation_a_draft_keeps_its_place(world: World, other: World) -> None:
    publish = world.draft()
    changed = drafts.update_publish(world.actor, publish.pk, settings=world.settings(environment="prod"))
    assert changed.environment == "prod"
    publishing.request_publish(world.actor, publish.pk)
    (waiting,) = world.agents[0].claim()
    world.agents[0].answer(waiting, Outcome.REFUSED, code="rejected", message="no")
    with pytest.raises(errors.PlaceIsFixed):
        drafts.update_publish(world.actor, publish.pk, settings=world.settings(cluster=other.cluster))


def test_a_changed_host_waits_until_the_earlier_one_is_off_every_agent(world: World) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    (waiting,) = world.agents[0].claim()
    world.agents[0].answer(waiting, Outcome.REFUSED, code="rejected", message="no")
    drafts.update_publish(world.actor, publish.pk, settings=world.settings(hostname_base="other.localhost"))
    with pytest.raises(errors.HostBeingReleased):
        publishing.request_publish(world.actor, publish.pk)

    world.everybody_confirms()
    publishing.request_publish(world.actor, publish.pk)
    publish.refresh_from_db()
    assert publish.claimed_host == "other.localhost"


@pytest.mark.parametrize(
    "network",
    [
        "169.254.169.254/32",
        "fd00:ec2::254/128",
        "100.100.100.200",
        "168.63.129.16/32",
        "10.0.0.1/8",
        "nonsense",
    ],
)
def test_an_operator_cannot_name_an_upstream_network_in_which_nothing_opens(
    world: World, network: str
) -> None:
    world.cluster.upstream_networks = ["10.0.0.0/8", network]
    with pytest.raises(ValidationError, match=r"metadata|not a network"):
        world.cluster.full_clean()


def test_a_cluster_opens_public_addresses_only_until_an_operator_names_others() -> None:
    assert Cluster(name="new").upstream_networks == ["0.0.0.0/0", "::/0"]


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("api.localhost", True),
        ("a.b.localhost", True),
        ("localhost", False),
        ("evil-localhost", False),
        ("api.localhost.example", False),
    ],
)
def test_a_host_lies_below_a_suffix_of_its_cluster(world: World, host: str, *, is_allowed: bool) -> None:
    assert hosts.is_allowed_host(host, cluster=world.cluster) is is_allowed
