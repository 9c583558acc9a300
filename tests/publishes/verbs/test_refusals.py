"""Verbs are refused with a reason before anything is sent."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from core.problems import Forbidden, NotFound, Problem
from products.models import Product, Route
from publishes import errors
from publishes.choices import Status
from publishes.models import Operation, ProductPublish
from publishes.verbs import deleting, drafts, publishing, withdrawing
from tenants.actors import Actor, Role
from tests.world import World, add_service, nobody_knows


def nothing_was_sent(publish: ProductPublish) -> bool:
    fresh = ProductPublish.objects.get(pk=publish.pk)
    return not Operation.objects.filter(publish=publish).exists() and (
        fresh.status,
        fresh.generation,
        fresh.claimed_host,
    ) == (Status.DRAFT, 0, None)


def archive(world: World) -> None:
    world.product.status = Product.Status.ARCHIVED
    world.product.save(update_fields=["status"])


def deactivate_services(world: World) -> None:
    world.product.services.update(status="inactive")


def deactivate_routes(world: World) -> None:
    Route.objects.update(status="inactive")


def remove_agents(world: World) -> None:
    for voice in world.agents:
        voice.agent.delete()


def enter_maintenance(world: World) -> None:
    world.cluster.maintenance = True
    world.cluster.save(update_fields=["maintenance"])


def forbid_suffix(world: World) -> None:
    world.cluster.host_suffixes = ["api.example.com"]
    world.cluster.save(update_fields=["host_suffixes"])


def take_host(world: World) -> None:
    world.published()


def close_fence(world: World) -> None:
    world.cluster.upstream_networks = ["0.0.0.0/0"]
    world.cluster.save(update_fields=["upstream_networks"])


def reserve_port(world: World) -> None:
    liveness = world.agents[0].agent.liveness
    liveness.reserved = ["127.0.0.1:8081"]
    liveness.save(update_fields=["reserved"])


def database_as_upstream(world: World) -> None:
    point_at(world, settings.DATABASES["default"]["HOST"], int(settings.DATABASES["default"]["PORT"]))


def broker_as_upstream(world: World) -> None:
    broker = urlsplit(settings.CELERY_BROKER_URL)
    point_at(world, broker.hostname, broker.port)


def control_plane_as_upstream(world: World) -> None:
    ours = urlsplit(settings.PUBLIC_URL)
    point_at(world, ours.hostname, ours.port)


def point_at(world: World, host: str | None, port: int | None) -> None:
    world.product.services.update(upstream_host=host, upstream_port=port)


def overlap(world: World) -> None:
    add_service(world.product, "Billing Twin", "/billing", ["GET"])


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (archive, errors.ProductNotActive, "archived"),
        (deactivate_services, errors.NothingToDeploy, "No active API service"),
        (deactivate_routes, errors.NothingToDeploy, "active route"),
        (remove_agents, errors.NoAgent, "No agent"),
        (enter_maintenance, errors.ClusterInMaintenance, "maintenance"),
        (forbid_suffix, errors.HostNotAllowed, "api.example.com"),
        (take_host, errors.HostTaken, "Choose another hostname"),
        (close_fence, errors.UpstreamRefused, "Billing Service"),
        (reserve_port, errors.UpstreamRefused, "a port of the gateway"),
        (database_as_upstream, errors.UpstreamRefused, "of imp-gateway itself"),
        (broker_as_upstream, errors.UpstreamRefused, "of imp-gateway itself"),
        (control_plane_as_upstream, errors.UpstreamRefused, "of imp-gateway itself"),
        (overlap, errors.PathsOverlap, "/billing"),
    ],
)
def test_a_publish_that_cannot_work_is_refused_before_anything_is_sent(
    world: World, spoil: Callable[[World], None], error: type[Problem], message: str
) -> None:
    publish = world.draft()
    spoil(world)
    with pytest.raises(error) as refusal:
        publishing.request_publish(world.actor, publish.pk)
    assert message in str(refusal.value.detail)
    assert refusal.value.status == 409
    assert nothing_was_sent(publish)


def test_a_draft_needs_an_active_product(world: World) -> None:
    archive(world)
    with pytest.raises(errors.ProductNotActive):
        world.draft()


def test_a80_in_maintenance_what_is_live_can_be_withdrawn_and_deleted(world: World) -> None:
    publish = world.published()
    enter_maintenance(world)
    archive(world)
    withdrawing.request_withdraw(world.actor, publish.pk, reason="still allowed")
    world.everybody_confirms()
    deleting.request_delete(world.actor, publish.pk)
    world.everybody_confirms()
    publish.refresh_from_db()
    assert publish.deleted_at is not None


@pytest.mark.parametrize("verb", ["publish", "withdraw", "delete", "update"])
def test_a24_another_tenants_publish_is_not_there(world: World, other: World, verb: str) -> None:
    publish = world.draft()
    for publish_id in (publish.pk, nobody_knows()):
        with pytest.raises(NotFound):
            act(other.actor, verb, publish_id, world)
    assert nothing_was_sent(publish)


@pytest.mark.parametrize("verb", ["publish", "withdraw", "delete", "update"])
@pytest.mark.parametrize("role", [Role.VIEWER, Role.BILLING])
def test_a_role_that_may_not_write_is_refused(world: World, verb: str, role: Role) -> None:
    publish = world.draft()
    with pytest.raises(Forbidden):
        act(Actor(tenant_id=world.tenant.pk, role=role, label="x"), verb, publish.pk, world)
    assert nothing_was_sent(publish)


def act(actor: Actor, verb: str, publish_id: object, world: World) -> object:
    calls: dict[str, Callable[..., object]] = {
        "publish": publishing.request_publish,
        "withdraw": lambda actor, publish_id: withdrawing.request_withdraw(actor, publish_id, reason="x"),
        "delete": deleting.request_delete,
        "update": lambda actor, publish_id: drafts.update_publish(
            actor, publish_id, settings=world.settings()
        ),
    }
    return calls[verb](actor, publish_id)


@pytest.mark.parametrize(
    ("state", "verb", "message"),
    [
        ("draft", "withdraw", "not live"),
        ("published", "publish", "published already"),
        ("published", "delete", "Withdraw it first"),
        ("published", "update", "Only a draft"),
        ("withdrawn", "withdraw", "withdrawn already"),
        ("withdrawn", "update", "Only a draft"),
    ],
)
def test_a68_a_verb_that_the_state_does_not_allow_is_refused_with_what_to_do(
    world: World, state: str, verb: str, message: str
) -> None:
    publish: ProductPublish = getattr(world, state)()
    before = Operation.objects.count()
    with pytest.raises(errors.WrongState) as refusal:
        act(world.actor, verb, publish.pk, world)
    assert message in str(refusal.value.detail)
    assert Operation.objects.count() == before


@pytest.mark.parametrize("verb", ["publish", "delete", "update"])
def test_while_an_operation_is_open_another_one_is_refused(world: World, verb: str) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    with pytest.raises(errors.AlreadyInProgress):
        act(world.actor, verb, publish.pk, world)
    assert Operation.objects.count() == 1
