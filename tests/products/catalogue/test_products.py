"""Products: their fields, services, and the way from draft to active to archived."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from core.problems import ChangedMeanwhile, Forbidden, Invalid, NotFound, Problem
from core.usage import Hold, uses_of
from products import errors
from products.catalogue import products
from products.catalogue.products import ProductFields
from products.forms import checked_product
from products.models import ApiService, Product
from publishes.models import ProductPublish
from publishes.verbs import deleting, publishing, withdrawing
from tenants.actors import Actor
from tests.world import World, nobody_knows

WEATHER = ProductFields(name="Weather API", version="1.0", categories=("weather",))
VERBS: dict[str, Callable[[Actor, UUID], Any]] = {
    "update": lambda actor, pk: products.update_product(actor, pk, fields=WEATHER),
    "link": lambda actor, pk: products.link_services(actor, pk, service_ids=[]),
    "activate": products.activate,
    "deactivate": products.deactivate,
    "archive": products.archive,
    "delete": products.delete_product,
}


def status_of(world: World) -> str:
    return Product.objects.get(pk=world.product.pk).status


def put(world: World, status: Product.Status) -> None:
    Product.objects.filter(pk=world.product.pk).update(status=status)


def linked(product: Product) -> set[str]:
    return set(product.services.values_list("name", flat=True))


def test_a_new_product_is_a_draft_of_the_actors_tenant(world: World) -> None:
    product = products.create_product(world.actor, fields=WEATHER)
    product.refresh_from_db()
    assert (product.tenant, product.status, product.name, product.version, product.categories) == (
        world.tenant,
        "draft",
        "Weather API",
        "1.0",
        ["weather"],
    )


def test_activation_needs_a_service(world: World) -> None:
    product = products.create_product(world.actor, fields=WEATHER)
    with pytest.raises(errors.ServiceNeeded):
        products.activate(world.actor, product.pk)
    products.link_services(world.actor, product.pk, service_ids=[ApiService.objects.all()[0].pk])
    assert products.activate(world.actor, product.pk).status == "active"


def test_a74_deactivation_is_refused_while_something_is_live_or_going_live(world: World) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    with pytest.raises(errors.StillDeployed) as refused:
        products.deactivate(world.actor, world.product.pk)
    assert f"Payment API v2.0 · Development · {world.cluster}" in str(refused.value.detail)
    world.everybody_confirms()
    with pytest.raises(errors.StillDeployed):
        products.deactivate(world.actor, world.product.pk)
    withdrawing.request_withdraw(world.actor, publish.pk, reason="for a test")
    world.everybody_confirms()
    assert products.deactivate(world.actor, world.product.pk).status == "draft"


def test_archiving_is_for_good_and_leaves_what_is_live_alone(world: World) -> None:
    publish = world.published()
    products.archive(world.actor, world.product.pk)
    publish.refresh_from_db()
    assert publish.status == "PUBLISHED"
    for name, verb in VERBS.items():
        with pytest.raises(errors.ProductIsArchived):
            verb(world.actor, world.product.pk)
        assert status_of(world) == "archived", name
    withdrawing.request_withdraw(world.actor, publish.pk, reason="for a test")


@pytest.mark.parametrize(
    ("status", "verb"),
    [("active", "activate"), ("active", "delete"), ("draft", "deactivate"), ("draft", "archive")],
)
def test_other_moves_are_refused(world: World, status: str, verb: str) -> None:
    put(world, Product.Status(status))
    with pytest.raises(errors.WrongProductState):
        VERBS[verb](world.actor, world.product.pk)
    assert status_of(world) == status


def test_a_draft_is_deleted_unless_it_has_or_had_publishes(world: World) -> None:
    publish = world.withdrawn()
    put(world, Product.Status.DRAFT)
    with pytest.raises(errors.InUse, match="in_use") as present:
        products.delete_product(world.actor, world.product.pk)
    assert "Delete those first" in str(present.value.detail)
    deleting.request_delete(world.actor, publish.pk)
    world.everybody_confirms()
    assert [use.hold for use in uses_of(world.product)] == [Hold.HISTORY]
    with pytest.raises(errors.InUse) as past:
        products.delete_product(world.actor, world.product.pk)
    assert "archive it instead" in str(past.value.detail)
    fresh = products.create_product(world.actor, fields=WEATHER, service_ids=[ApiService.objects.all()[0].pk])
    products.delete_product(world.actor, fresh.pk)
    assert list(Product.objects.all()) == [world.product]
    assert ProductPublish.objects.count() == 1
    assert ApiService.objects.count() == 3


def test_linking_makes_it_exactly_these(world: World) -> None:
    billing, refund = (
        ApiService.objects.get(name="Billing Service"),
        ApiService.objects.get(name="Refund Service"),
    )
    products.link_services(world.actor, world.product.pk, service_ids=[billing.pk, refund.pk])
    world.product.refresh_from_db()
    assert linked(world.product) == {"Billing Service", "Refund Service"}
    assert world.product.revision == 2
    products.link_services(world.actor, world.product.pk, service_ids=[refund.pk, billing.pk])
    world.product.refresh_from_db()
    assert world.product.revision == 2


def test_an_active_product_keeps_a_service(world: World) -> None:
    with pytest.raises(errors.ServiceNeeded):
        products.link_services(world.actor, world.product.pk, service_ids=[])
    assert len(linked(world.product)) == 3
    put(world, Product.Status.DRAFT)
    products.link_services(world.actor, world.product.pk, service_ids=[])
    assert linked(world.product) == set()


def test_a24_another_tenants_service_cannot_be_linked(world: World, other: World) -> None:
    theirs = other.product.services.all()[0]
    with pytest.raises(Invalid):
        products.link_services(world.actor, world.product.pk, service_ids=[theirs.pk])
    assert len(linked(world.product)) == 3


@pytest.mark.parametrize("verb", VERBS)
def test_a24_another_tenants_product_is_not_there_and_a_viewer_may_not(
    world: World, other: World, verb: str
) -> None:
    before = Product.objects.filter(pk=world.product.pk).values().get()
    with pytest.raises(NotFound):
        VERBS[verb](other.actor, world.product.pk)
    with pytest.raises(NotFound):
        VERBS[verb](world.actor, nobody_knows())
    with pytest.raises(Forbidden):
        VERBS[verb](world.viewer, world.product.pk)
    with pytest.raises(Forbidden):
        products.create_product(world.viewer, fields=WEATHER)
    assert Product.objects.filter(pk=world.product.pk).values().get() == before


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(world: World) -> None:
    products.update_product(world.actor, world.product.pk, fields=WEATHER, revision=1)
    with pytest.raises(ChangedMeanwhile):
        products.update_product(
            world.actor, world.product.pk, fields=ProductFields(name="Mine", version="9"), revision=1
        )
    with pytest.raises(ChangedMeanwhile):
        products.link_services(world.actor, world.product.pk, service_ids=[], revision=3)
    assert Product.objects.get(pk=world.product.pk).name == "Weather API"


def test_what_a_program_leaves_out_stays(world: World) -> None:
    fields = checked_product({"description": "New words"}, product=world.product)
    assert fields == ProductFields(name="Payment API", version="2.0", description="New words")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "a"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "half \ud800"}, "name"),
        ({"version": ""}, "version"),
        ({"docs_url": "javascript:alert(1)"}, "docs_url"),
        ({"docs_url": "ftp://example.com/"}, "docs_url"),
        ({"logo_url": "not a url"}, "logo_url"),
        ({"categories": [str(n) for n in range(11)]}, "categories"),
        ({"categories": ["x" * 51]}, "categories"),
        ({"description": "\x00"}, "description"),
    ],
)
def test_a_field_that_is_not_right_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked_product({"name": "Weather API", "version": "1.0"} | changes)
    assert list(refused.value.fields) == [field]


def test_a_version_is_kept_without_the_v_that_pages_put_before_it() -> None:
    assert checked_product({"name": "Weather API", "version": "v2.0"}).version == "2.0"
    assert checked_product({"name": "Weather API", "version": "vintage"}).version == "vintage"


def test_every_refusal_says_what_to_do() -> None:
    for problem in (
        errors.ProductIsArchived(),
        errors.ServiceNeeded(),
        errors.StillDeployed(),
        ChangedMeanwhile(),
    ):
        assert isinstance(problem, Problem)
        assert str(problem.detail).count(".") >= 1
