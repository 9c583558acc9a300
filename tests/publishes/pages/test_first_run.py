"""An empty workspace is led to its first publish in four steps, and left alone afterwards."""

import re
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from clusters.models import Cluster, ClusterTenant
from gateways.models import Gateway, GatewayCluster
from products.models import ApiService, Product, ProductService, Route
from publishes.models import ProductPublish
from publishes.reading.lists.first_run import steps_to_first_publish
from publishes.verbs import deleting, drafts, withdrawing
from tenants.actors import Role
from tenants.models import Membership, Tenant, User
from tests.pages import html_of, signed_in, text_of
from tests.world import World

PAGES = [reverse(name) for name in ("products:list", "services:list", "gateways:list", "overview:list")]
HEAD = "Four steps to your first publish"


@pytest.fixture
def empty(world: World) -> World:
    """The world's person in a workspace with nothing in it."""
    tenant = Tenant.objects.create(slug="fresh", name="Fresh")
    Membership.objects.filter(user=world.user).update(tenant=tenant)
    actor = replace(world.actor, tenant_id=tenant.pk, role=Role.OWNER)
    return replace(world, tenant=tenant, actor=actor)


def steps_done(world: World) -> list[bool]:
    return [step.is_done for step in steps_to_first_publish(world.actor)]


def current(world: World) -> str:
    return next(step.url for step in steps_to_first_publish(world.actor) if not step.is_done)


@pytest.mark.parametrize("path", PAGES)
def test_every_list_of_an_empty_workspace_leads_to_the_first_step_without_script(
    empty: World, path: str
) -> None:
    page = signed_in(empty.user).get(path)
    assert HEAD in text_of(page)
    assert f'<a class="button primary small" href="{reverse("services:create")}">' in html_of(page)


def primaries(page: str) -> int:
    """The primary buttons of a page, those of its dialogs aside: it has one for each of them."""
    return len(
        re.findall(
            r'class="[^"]*button[^"]* primary', re.sub(r"<dialog.*?</dialog>", "", page, flags=re.DOTALL)
        )
    )


def test_the_step_is_the_one_primary_action_of_a_page(empty: World, world: World) -> None:
    browser = signed_in(empty.user)
    assert [primaries(html_of(browser.get(path))) for path in PAGES] == [1, 1, 1, 1]
    service = ApiService.objects.create(tenant=empty.tenant, name="Billing", upstream_host="billing")
    Route.objects.create(service=service, path="/billing")
    gateway = Gateway.objects.create(tenant=empty.tenant, name="edge")
    pages = [
        *PAGES,
        reverse("services:detail", args=[service.pk]),
        reverse("gateways:detail", args=[gateway.pk]),
    ]
    assert [primaries(html_of(browser.get(path))) for path in pages] == [1] * 6
    product = Product.objects.create(tenant=empty.tenant, name="Payment", version="1")
    linking = html_of(browser.get(reverse("products:detail", args=[product.pk])))
    assert (primaries(linking), 'id="open-link" class="button primary small"' in linking) == (1, True)


def test_each_step_is_done_when_it_really_is_and_leads_to_the_next(empty: World) -> None:
    tenant = empty.tenant
    assert (steps_done(empty), current(empty)) == ([False] * 4, reverse("services:create"))
    service = ApiService.objects.create(
        tenant=tenant, name="Billing", status="inactive", upstream_host="billing"
    )
    Route.objects.create(service=service, path="/billing")
    assert (steps_done(empty), current(empty)) == ([False] * 4, reverse("services:list"))
    ApiService.objects.update(status="active")
    assert (steps_done(empty), current(empty)) == (
        [True, False, False, False],
        f"{reverse('products:create')}?service={service.pk}",
    )
    product = Product.objects.create(tenant=tenant, name="Payment", version="1")
    assert (steps_done(empty), current(empty)) == (
        [True, False, False, False],
        reverse("products:detail", args=[product.pk]),
    )
    ProductService.objects.create(tenant=tenant, product=product, service=service)
    Product.objects.filter(pk=product.pk).update(status="active")
    assert (steps_done(empty), current(empty)) == ([True, True, False, False], reverse("gateways:create"))
    gateway = Gateway.objects.create(tenant=tenant, name="edge")
    assert current(empty) == reverse("gateways:list")
    GatewayCluster.objects.create(gateway=gateway, cluster=empty.cluster)
    ClusterTenant.objects.create(cluster=empty.cluster, tenant=tenant)
    assert (steps_done(empty), current(empty)) == (
        [True, True, True, False],
        reverse("publishes:create", args=[product.pk]),
    )
    product.refresh_from_db()
    draft = drafts.create_publish(empty.actor, product, settings=empty.settings(gateway=gateway))
    assert current(empty) == reverse("overview:publish", args=[draft.pk])


def test_after_the_first_publish_it_is_gone_for_good(world: World) -> None:
    browser = signed_in(world.user)
    assert HEAD in text_of(browser.get(PAGES[0]))
    publish = world.published()
    assert HEAD not in "".join(text_of(browser.get(path)) for path in PAGES)
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    world.everybody_confirms()
    deleting.request_delete(world.actor, publish.pk)
    world.everybody_confirms()
    assert not ProductPublish.objects.visible_to(world.actor).exists()
    assert HEAD not in text_of(browser.get(PAGES[0]))


def test_who_may_only_read_is_not_led_anywhere(empty: World) -> None:
    viewer = User.objects.create_user("looker")
    Membership.objects.create(user=viewer, tenant=empty.tenant, role=Role.VIEWER)
    assert HEAD not in "".join(text_of(signed_in(viewer).get(path)) for path in PAGES)


def test_another_workspaces_things_are_no_step(empty: World, world: World) -> None:
    assert Cluster.objects.exists()
    assert ApiService.objects.exists()
    assert steps_done(empty) == [False] * 4


def test_it_is_one_query(empty: World, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        steps_to_first_publish(empty.actor)


def test_signed_out_people_see_no_steps(db: None) -> None:
    assert Client().get(PAGES[0]).status_code == 302
