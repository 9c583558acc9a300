"""What the database refuses by itself, whatever the code above it does."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from products.models import ProductService
from publishes.models import Operation, ProductPublish
from tests.world import World

Break = Callable[[World, World, ProductPublish], Any]


def set_columns(**values: Any) -> Break:
    return lambda _world, _other, publish: ProductPublish.objects.filter(pk=publish.pk).update(**values)


def point_to_other_tenant(field: str, attribute: str) -> Break:
    return lambda _world, other, publish: ProductPublish.objects.filter(pk=publish.pk).update(
        **{field: getattr(other, attribute)}
    )


def second_open_operation(_world: World, _other: World, publish: ProductPublish) -> None:
    for generation in (7, 8):
        Operation.objects.create(
            publish=publish,
            kind="withdraw",
            generation=generation,
            spec={},
            digest="",
            deadline_at=timezone.now(),
        )


def same_generation_twice(_world: World, _other: World, publish: ProductPublish) -> None:
    for _ in range(2):
        Operation.objects.create(
            publish=publish, kind="sync", generation=9, spec={}, digest="", deadline_at=timezone.now()
        )


def same_host_twice(world: World, _other: World, publish: ProductPublish) -> None:
    draft = world.draft()
    ProductPublish.objects.filter(pk=draft.pk).update(claimed_host=publish.claimed_host)


def link_across_tenants(world: World, other: World, _publish: ProductPublish) -> None:
    service = other.product.services.all()[0]
    ProductService.objects.create(tenant=world.tenant, product=world.product, service=service)


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(point_to_other_tenant("product", "product"), id="another tenant's product"),
        pytest.param(point_to_other_tenant("gateway", "gateway"), id="another tenant's gateway"),
        pytest.param(
            point_to_other_tenant("cluster", "cluster"), id="a cluster in which the gateway does not stand"
        ),
        pytest.param(link_across_tenants, id="another tenant's service in a product"),
        pytest.param(second_open_operation, id="two open operations of people"),
        pytest.param(same_generation_twice, id="one generation twice"),
        pytest.param(same_host_twice, id="one host twice in a cluster"),
        pytest.param(set_columns(status="LIVE"), id="an unknown status"),
        pytest.param(set_columns(environment="qa"), id="an unknown environment"),
        pytest.param(set_columns(auth_mode="apikey"), id="an unknown auth mode"),
        pytest.param(set_columns(published_at=None), id="published without a time"),
        pytest.param(set_columns(claimed_host=None), id="published without a host"),
        pytest.param(set_columns(deleted_at=timezone.now()), id="published and deleted"),
        pytest.param(set_columns(generation=0), id="something desired before the first generation"),
    ],
)
def test_the_database_refuses(world: World, other: World, attempt: Break) -> None:
    publish = world.published()
    before = ProductPublish.objects.filter(pk=publish.pk).values().get()
    with pytest.raises(IntegrityError), transaction.atomic():
        attempt(world, other, publish)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert ProductPublish.objects.filter(pk=publish.pk).values().get() == before
