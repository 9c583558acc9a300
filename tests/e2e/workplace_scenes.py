"""Scenes of the provider's workplace: products, API services, gateways, clusters, and members."""

from collections.abc import Callable

from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page

from clusters.models import Cluster
from gateways.models import Gateway, GatewayCluster, Listener
from products.catalogue import api_services
from products.forms import checked_service
from products.models import ApiService, Product, ProductService
from publishes.verbs import withdrawing
from tenants.actors import Role
from tenants.models import Invitation, Membership, Tenant, User
from tenants.people import invitations
from tests.documents import LEDGER, LEDGER_AGAIN
from tests.e2e.scene import Scene
from tests.world import World, add_service


def _billing(world: World) -> ApiService:
    return ApiService.objects.get(tenant=world.tenant, name="Billing Service")


def _nothing(world: World) -> None:
    ProductService.objects.filter(tenant=world.tenant).delete()
    Product.objects.filter(tenant=world.tenant).delete()
    ApiService.objects.filter(tenant=world.tenant).delete()


def _products_empty(world: World, client: Client) -> str:
    _nothing(world)
    return reverse("products:list")


def _product(world: World, client: Client) -> str:
    world.published()
    add_service(world.product, "Legacy Service", "/legacy", ["GET"], active=False)
    return reverse("products:detail", args=[world.product.pk])


def _product_draft(world: World, client: Client) -> str:
    Product.objects.filter(pk=world.product.pk).update(status=Product.Status.DRAFT)
    return _detail(world)


def _detail(world: World) -> str:
    return reverse("products:detail", args=[world.product.pk])


def _link(page: Page) -> None:
    page.locator("#open-link").click()
    page.locator("#link-list").wait_for()


def _services(world: World, client: Client) -> str:
    add_service(world.product, "Legacy Service", "/legacy", ["GET"], active=False)
    return reverse("services:list")


def _service(world: World, client: Client) -> str:
    world.published()
    world.published(environment="prod", hostname_base="payment-api.prod.kr-seoul.localhost")
    service = _billing(world)
    routes = [
        {"path": "/billing", "methods": ["GET", "POST"]},
        {"path": "/billing/legacy", "strip_path": True, "is_active": False},
    ]
    fields = checked_service(
        world.actor,
        {"routes": routes, "version": "1.2", "description": "Billing, invoices and refunds."},
        service=service,
    )
    api_services.update_service(world.actor, service.pk, fields=fields)
    world.published(environment="stage", hostname_base="payment-api.stage.kr-seoul.localhost")
    return reverse("services:detail", args=[service.pk])


def _service_form(world: World, client: Client) -> str:
    return f"{_service(world, client)}/edit"


def _wrong(page: Page) -> None:
    page.locator("#id_upstream_url").fill("billing:8080")
    page.locator("#id_routes-0-path").fill("billing")
    page.locator("form.sheet .button.primary").click()
    page.locator("[role=alert]").wait_for()


def _import(world: World, client: Client) -> str:
    return reverse("services:import")


def _reimport(world: World, client: Client) -> str:
    fields = checked_service(
        world.actor,
        {
            "name": "Ledger",
            "version": "1.4",
            "upstream_url": "http://127.0.0.1:8081",
            "routes": [{"path": "/accounts", "methods": ["GET", "DELETE"]}, {"path": "/old"}],
        },
    )
    api_services.create_service(world.actor, fields=fields)
    return reverse("services:import")


def _paste(text: str) -> Callable[[Page], object]:
    def act(page: Page) -> None:
        page.locator("#id_document").fill(text)
        page.locator("form.sheet .button.primary").click()
        page.wait_for_load_state("networkidle")

    return act


def _gateways(world: World, client: Client) -> str:
    Listener.objects.get_or_create(gateway=world.gateway, port=80, defaults={"name": "http-80"})
    Listener.objects.get_or_create(
        gateway=world.gateway, port=443, defaults={"name": "https-443", "protocol": "HTTPS"}
    )
    kong = Gateway.objects.create(
        tenant=world.tenant, name="kong-gateway", gateway_class="kong", status="inactive"
    )
    Listener.objects.create(gateway=kong, name="http-8000", port=8000)
    GatewayCluster.objects.create(
        gateway=kong,
        cluster=Cluster.objects.create(
            name="kr-far", region="kr-busan", host_suffixes=["localhost"], open_to_all=True
        ),
    )
    return reverse("gateways:list")


def _gateway(world: World, client: Client) -> str:
    _gateways(world, client)
    world.published()
    world.draft(environment="stage", hostname_base="payment-api.stage.kr-seoul.localhost")
    return reverse("gateways:detail", args=[world.gateway.pk])


def _gateway_form(world: World, client: Client) -> str:
    return f"{_gateway(world, client)}/edit"


def _second_workspace(world: World) -> Tenant:
    globex = Tenant.objects.create(slug="globex", name="Globex")
    Membership.objects.create(user=world.user, tenant=globex, role="viewer")
    return globex


def _invited(world: World) -> Invitation:
    globex = Tenant.objects.create(slug="globex", name="Globex")
    invitation = Invitation(user=world.user, tenant=globex, role="developer")
    invitations.offer(invitation, by="jisoo")
    return invitation


def _members_invited(world: World, client: Client) -> str:
    for name, role in (("jisoo", "admin"), ("minho", "viewer")):
        invitations.invite(world.actor, username=User.objects.create_user(name).username, role=Role(role))
    return reverse("account:members")


def _account_invited(world: World, client: Client) -> str:
    _invited(world)
    return reverse("account:index")


def _no_workspace_invited(world: World, client: Client) -> str:
    _invited(world)
    world.user.memberships.all().delete()
    return reverse("products:list")


def _workspace_lost(world: World, client: Client) -> str:
    _second_workspace(world)
    client.get(reverse("products:list"))
    Membership.objects.filter(user=world.user, tenant=world.tenant).delete()
    return reverse("products:list")


def _two_workspaces(world: World, client: Client) -> str:
    _second_workspace(world)
    return reverse("products:create")


def _form_of_another(page: Page) -> None:
    """As when another tab has switched since the form was loaded."""
    other = page.locator(".who button[name=tenant]").get_attribute("value")
    page.locator("form.sheet [name=workspace]").evaluate("(field, value) => { field.value = value }", other)
    page.locator("#id_name").fill("Mine")
    page.locator("#id_version").fill("1")
    page.locator("form.sheet .button.primary").click()
    page.locator("h1:has-text('workspace'), h1:has-text('워크스페이스')").wait_for()


def _closed(world: World) -> None:
    world.cluster.openings.all().delete()


def _publish_closed(world: World, client: Client) -> str:
    publish = world.published()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="결제 오류로 잠시 내립니다")
    world.everybody_confirms()
    _closed(world)
    return reverse("publishes:detail", args=[world.product.pk, publish.pk])


def _cluster_closed(world: World, client: Client) -> str:
    world.published()
    _closed(world)
    return reverse("clusters:detail", args=[world.cluster.pk])


def _clusters_none(world: World, client: Client) -> str:
    _closed(world)
    return reverse("clusters:list")


def _open(page: Page, name: str) -> None:
    page.locator(f"#open-{name}").click()


WORKPLACE = (
    Scene(name="products-empty", prepare=_products_empty),
    Scene(name="product-form", prepare=lambda world, client: reverse("products:create")),
    Scene(name="dialog-activate", prepare=_product_draft, act=lambda page: _open(page, "activate")),
    Scene(name="dialog-link", prepare=_product, act=_link),
    Scene(name="product-link", prepare=lambda world, client: f"{_product(world, client)}/services"),
    Scene(name="product-archive", prepare=lambda world, client: f"{_product(world, client)}/archive"),
    Scene(name="services", prepare=_services),
    Scene(name="service", prepare=_service),
    Scene(name="service-form", prepare=_service_form),
    Scene(name="service-form-wrong", prepare=_service_form, act=_wrong, status=422),
    Scene(name="import", prepare=_import),
    Scene(
        name="import-refused",
        prepare=_import,
        act=_paste(LEDGER.replace("/health:", "/health status:")),
        status=422,
    ),
    Scene(name="import-plan", prepare=_import, act=_paste(LEDGER)),
    Scene(name="import-change", prepare=_reimport, act=_paste(LEDGER_AGAIN)),
    Scene(name="gateways", prepare=_gateways),
    Scene(name="gateway", prepare=_gateway),
    Scene(name="gateway-form", prepare=_gateway_form),
    Scene(name="members-invited", prepare=_members_invited),
    Scene(name="account-invited", prepare=_account_invited),
    Scene(name="account-leave", prepare=lambda world, client: reverse("account:leave")),
    Scene(name="no-workspace-invited", prepare=_no_workspace_invited, status=403),
    Scene(name="workspace-lost", prepare=_workspace_lost, status=403),
    Scene(name="other-workspace", prepare=_two_workspaces, act=_form_of_another, status=409),
    Scene(name="publish-closed-cluster", prepare=_publish_closed),
    Scene(name="cluster-closed", prepare=_cluster_closed),
    Scene(name="clusters-none", prepare=_clusters_none),
)
