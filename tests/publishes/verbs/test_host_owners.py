"""A draft reserves its hostname for its workspace for a while, and a deleted publish for its former owner."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from clusters.models import Cluster
from core.problems import Invalid
from gateways.models import GatewayCluster
from publishes import errors
from publishes.forms.settings import PublishForm, initial_of
from publishes.models import ProductPublish
from publishes.verbs import deleting, prechecks, publishing
from tests.pages import signed_in, url
from tests.world import World

HOST = "payment-api.dev.kr-seoul.localhost"


@pytest.fixture
def rival(world: World, other: World) -> World:
    """Another tenant in the same cluster."""
    Cluster.objects.update(open_to_all=True)
    GatewayCluster.objects.create(gateway=other.gateway, cluster=world.cluster)
    other.cluster, other.agents = world.cluster, world.agents
    return other


def age(publish: ProductPublish, **ago: float) -> None:
    """As if it had last been changed, and deleted, so long ago."""
    when = timezone.now() - timedelta(**ago)
    ProductPublish.objects.filter(pk=publish.pk).update(updated_at=when)
    ProductPublish.objects.filter(pk=publish.pk, deleted_at__isnull=False).update(deleted_at=when)


def chosen(world: World, host: str) -> str:
    """The hostname as the form takes it."""
    settings = initial_of(None) | {
        "cluster": world.cluster.pk,
        "gateway": world.gateway.pk,
        "hostname_base": host,
    }
    return PublishForm(world.actor, world.product, settings).settings().hostname_base


def deleted(world: World) -> ProductPublish:
    publish = world.withdrawn()
    deleting.request_delete(world.actor, publish.pk)
    world.everybody_confirms()
    publish.refresh_from_db()
    assert (publish.claimed_host, publish.deleted_at is not None) == (None, True)
    return publish


def test_the_host_of_anothers_draft_is_neither_chosen_nor_published(world: World, rival: World) -> None:
    mine = world.draft()
    with pytest.raises(Invalid) as refused:
        chosen(rival, HOST)
    assert list(refused.value.fields) == ["hostname_base"]
    assert chosen(rival, "") != HOST
    theirs = rival.draft()  # as it may have been made before this rule, or at the same moment
    assert [check.level for check in prechecks.run(theirs) if str(check.title) == "Hostname"] == [
        prechecks.Level.BLOCKER
    ]
    with pytest.raises(errors.HostReserved):
        publishing.request_publish(rival.actor, theirs.pk)
    publishing.request_publish(world.actor, mine.pk)
    world.everybody_confirms()
    mine.refresh_from_db()
    assert (mine.status, mine.claimed_host) == ("PUBLISHED", HOST)


def test_a_draft_that_nobody_works_on_keeps_its_host_for_two_weeks(
    world: World, rival: World, settings: Settings
) -> None:
    mine = world.draft()
    age(mine, days=13.9)
    with pytest.raises(Invalid):
        chosen(rival, HOST)
    age(mine, days=14.1)
    assert chosen(rival, HOST) == HOST
    publishing.request_publish(rival.actor, rival.draft().pk)
    settings.DRAFT_HOST_DAYS = 20
    with pytest.raises(errors.HostTaken):
        publishing.request_publish(world.actor, mine.pk)


def test_drafts_of_one_workspace_keep_no_host_from_each_other(world: World) -> None:
    first, second = world.draft(), world.draft()
    publishing.request_publish(world.actor, second.pk)
    with pytest.raises(errors.HostTaken):
        publishing.request_publish(world.actor, first.pk)


def test_after_a_deletion_only_the_former_owner_takes_the_host_for_a_day(
    world: World, rival: World, settings: Settings
) -> None:
    tombstone = deleted(world)
    with pytest.raises(Invalid):
        chosen(rival, HOST)
    with pytest.raises(errors.HostReserved):
        publishing.request_publish(rival.actor, rival.draft().pk)
    assert chosen(world, HOST) == HOST
    age(tombstone, hours=24.1)
    assert chosen(rival, HOST) == HOST
    settings.HOST_QUARANTINE_H = 48
    with pytest.raises(Invalid):
        chosen(rival, HOST)


def test_the_former_owner_publishes_there_at_once(world: World, rival: World) -> None:
    deleted(world)
    publishing.request_publish(world.actor, world.draft().pk)


def test_the_page_says_why(world: World, rival: World) -> None:
    world.draft()
    theirs = rival.draft()
    client: Client = signed_in(rival.user)
    answer = client.post(url("execute", theirs))
    assert (answer.status_code, "kept for another workspace" in answer.content.decode()) == (409, True)
    assert client.get(reverse("publishes:detail", args=[theirs.product_id, theirs.pk])).status_code == 200
