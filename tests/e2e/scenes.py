"""Every page as a scene: the rows in the database, the path, and what to do there before the look."""

from collections.abc import Callable
from datetime import timedelta

from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page

from agent.protocol.messages import Outcome
from clusters.models import AgentLiveness, Cluster
from gateways.models import Gateway
from products.models import Product
from publishes.models import Observation, ProductPublish
from publishes.verbs import cancelling, drafts, publishing, withdrawing
from tenants.models import ApiToken, Membership, Tenant, User
from tests.e2e.key_scenes import KEYS
from tests.e2e.scene import Scene as Scene
from tests.e2e.workplace_scenes import WORKPLACE
from tests.publishes.pages.run import Run
from tests.world import World, add_service, nobody_knows


def detail(publish: ProductPublish) -> str:
    return reverse("publishes:detail", args=[publish.product_id, publish.pk])


def _without_workspace(world: World, client: Client) -> str:
    Membership.objects.all().delete()
    return reverse("products:list")


def _products(world: World, client: Client) -> str:
    world.published()
    world.product.description = "Billing, invoices and refunds."
    world.product.save()
    Product.objects.create(
        tenant=world.tenant, name="Weather API", version="1.1", status=Product.Status.ACTIVE
    )
    Product.objects.create(tenant=world.tenant, name="Ledger API", version="0.3")
    return reverse("products:list")


def _product(world: World, client: Client) -> str:
    world.published()
    world.withdrawn(hostname_base="old.dev.localhost")
    failed = world.draft(environment="stage", hostname_base="payment-api.stage.kr-seoul.localhost")
    publishing.request_publish(world.actor, failed.pk)
    world.everybody_confirms()
    world.draft(environment="stage", hostname_base="payment-api-2.stage.kr-seoul.localhost")
    doing = world.draft(environment="stage", hostname_base="payment-api-3.stage.kr-seoul.localhost")
    publishing.request_publish(world.actor, doing.pk)
    add_service(world.product, "Legacy Service", "/legacy", ["GET"], active=False)
    return reverse("products:detail", args=[world.product.pk])


def _product_empty(world: World, client: Client) -> str:
    return reverse("products:detail", args=[world.product.pk])


def _product_draft(world: World, client: Client) -> str:
    world.product.status = Product.Status.DRAFT
    world.product.save()
    return reverse("products:detail", args=[world.product.pk])


def _draft(world: World, client: Client) -> str:
    add_service(world.product, "Legacy Service", "/legacy", ["GET"], active=False)
    return detail(world.draft())


def _deploying(world: World, client: Client) -> str:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk, note="Production release v2.0")
    world.agents[0].confirm_all()
    world.agents[1].claim()
    return detail(publish)


def _cancelled(world: World, client: Client) -> str:
    path = _deploying(world, client)
    cancelling.cancel(world.actor, ProductPublish.objects.get().pk)
    return path


def _published(world: World, client: Client) -> str:
    publish = world.draft(environment="prod", hostname_base="payment-api.prod.kr-seoul.localhost")
    publishing.request_publish(world.actor, publish.pk, note="Production release v2.0")
    world.everybody_confirms()
    return detail(publish)


def _silent(world: World, client: Client) -> str:
    path = _published(world, client)
    AgentLiveness.objects.filter(agent=world.agents[-1].agent).update(
        last_seen_at=timezone.now() - timedelta(seconds=41)
    )
    world.add_agent("seoul-9", connected=False)
    return path


def _failed(world: World, client: Client) -> str:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    (waiting,) = world.agents[0].claim()
    rejection = {
        "code": "rejected",
        "entity": "route billing",
        "field": "path",
        "message": "Duplicate entry of domain payment-api.dev.kr-seoul.localhost.",
    }
    world.agents[0].answer(waiting, Outcome.REFUSED, step="apply", **rejection)
    return detail(publish)


def _withdrawn(world: World, client: Client) -> str:
    publish = world.published()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="결제 오류로 잠시 내립니다")
    world.everybody_confirms()
    return detail(publish)


def _overview(world: World, client: Client) -> str:
    _product(world, client)
    drifting = world.published(environment="prod", hostname_base="payment-api.prod.kr-seoul.localhost")
    Observation.objects.filter(publish=drifting, agent=world.agents[0].agent).update(verified=False)
    ledger = Product.objects.create(
        tenant=world.tenant, name="Ledger API", version="0.3", status=Product.Status.ACTIVE
    )
    drafts.create_publish(
        world.actor,
        ledger,
        settings=world.settings(environment="prod", hostname_base="ledger.prod.localhost"),
    )
    return reverse("overview:list")


def _overview_failed(world: World, client: Client) -> str:
    _failed(world, client)
    return f"{reverse('overview:list')}?condition=failed&environment=dev"


def _clusters(world: World, client: Client) -> str:
    world.published()
    Cluster.objects.create(
        name="kr-far", region="kr-busan", host_suffixes=["localhost"], maintenance=True, open_to_all=True
    )
    return reverse("clusters:list")


def _cluster(world: World, client: Client) -> str:
    _overview(world, client)
    AgentLiveness.objects.filter(agent=world.agents[0].agent).update(gateway_ok=False)
    AgentLiveness.objects.filter(agent=world.agents[1].agent).update(
        last_seen_at=timezone.now() - timedelta(seconds=41)
    )
    world.add_agent("seoul-9", connected=False)
    return reverse("clusters:detail", args=[world.cluster.pk])


def _compare(world: World, client: Client) -> str:
    publish = world.withdrawn()
    service = world.product.services.get(name="Billing Service")
    service.routes.update(methods=["GET", "POST"])
    world.product.services.filter(name="Refund Service").update(status="inactive")
    add_service(world.product, "Ledger Service", "/ledger", ["GET"])
    publishing.request_publish(world.actor, publish.pk)
    world.everybody_confirms()
    return f"{reverse('publishes:compare', args=[publish.product_id, publish.pk])}?old=1&new=3"


def _first_run(world: World, client: Client) -> str:
    tenant = Tenant.objects.create(slug="fresh", name="Fresh")
    Membership.objects.filter(user=world.user).update(tenant=tenant)
    client.post(reverse("account:workspace"), {"tenant": str(tenant.pk)})
    return reverse("overview:list")


def _first_run_half(world: World, client: Client) -> str:
    Gateway.objects.filter(tenant=world.tenant).delete()
    return reverse("gateways:list")


def _account(world: World, client: Client) -> str:
    Membership.objects.create(
        user=world.user, tenant=Tenant.objects.create(slug="globex", name="Globex"), role="viewer"
    )
    return reverse("account:index")


def _members(world: World, client: Client) -> str:
    for name, role in (("jisoo", "admin"), ("minho", "developer"), ("viewer-1", "viewer")):
        Membership.objects.create(user=User.objects.create_user(name), tenant=world.tenant, role=role)
    return reverse("account:members")


def _tokens(world: World, client: Client) -> str:
    now = timezone.now()
    for name, fields in (
        ("CI", {"created_by": world.user, "last_used_at": now, "expires_at": now + timedelta(days=30)}),
        ("Nightly", {"revoked_at": now}),
        ("Backup", {"expires_at": now}),
    ):
        ApiToken.objects.create(
            tenant=world.tenant, name=name, role="developer", prefix="impg_Ab3xY", token_hash=name, **fields
        )
    return reverse("account:tokens")


def _new_token(page: Page) -> None:
    page.locator("[name=name]").fill("CI")
    page.locator("#new button").click()
    page.locator("#new-token").wait_for()


def _remove_member(world: World, client: Client) -> str:
    _members(world, client)
    return reverse("account:member-remove", args=[Membership.objects.get(user__username="minho").pk])


def _revoke_token(world: World, client: Client) -> str:
    _tokens(world, client)
    return reverse("account:token-revoke", args=[ApiToken.objects.get(name="CI").pk])


def _below(name: str, prepare: Callable[[World, Client], str]) -> Callable[[World, Client], str]:
    return lambda world, client: f"{prepare(world, client)}/{name}"


def _wizard(step: str) -> Callable[[World, Client], str]:
    def prepare(world: World, client: Client) -> str:
        Cluster.objects.create(
            name="kr-far", region="kr-busan", host_suffixes=["localhost"], maintenance=True, open_to_all=True
        )
        add_service(world.product, "Legacy Service", "/legacy", ["GET"], active=False)
        run = Run(world, client)
        run.choose(upto=step)
        return run.url(step)

    return prepare


def _open(name: str) -> Callable[[Page], object]:
    return lambda page: page.locator(f"#open-{name}").click()


SCENES = (
    Scene(name="sign-in", prepare=lambda world, client: "/sign-in", is_public=True),
    Scene(name="products", prepare=_products),
    Scene(name="product", prepare=_product),
    Scene(name="product-empty", prepare=_product_empty),
    Scene(name="product-draft", prepare=_product_draft),
    *WORKPLACE,
    Scene(name="overview", prepare=_overview),
    Scene(name="overview-failed", prepare=_overview_failed),
    Scene(name="overview-empty", prepare=lambda world, client: reverse("overview:list")),
    Scene(name="clusters", prepare=_clusters),
    Scene(name="cluster", prepare=_cluster),
    Scene(name="first-run", prepare=_first_run),
    Scene(
        name="first-run-services",
        prepare=lambda world, client: _first_run(world, client) and reverse("services:list"),
    ),
    Scene(name="first-run-half", prepare=_first_run_half),
    Scene(name="account", prepare=_account),
    Scene(name="account-menu", prepare=_account, act=lambda page: page.locator(".who summary").click()),
    Scene(name="members", prepare=_members),
    Scene(name="member-remove", prepare=_remove_member),
    Scene(name="tokens", prepare=_tokens),
    Scene(name="token-revoke", prepare=_revoke_token),
    Scene(name="token-made", prepare=lambda world, client: reverse("account:tokens"), act=_new_token),
    Scene(name="wizard-cluster", prepare=_wizard("cluster")),
    Scene(name="wizard-gateway", prepare=_wizard("gateway")),
    Scene(name="wizard-settings", prepare=_wizard("settings")),
    Scene(
        name="wizard-confirm", prepare=_wizard("confirm"), act=lambda page: page.wait_for_selector("#checks")
    ),
    Scene(name="publish-draft", prepare=_draft),
    Scene(name="publish-deploying", prepare=_deploying),
    Scene(name="publish-published", prepare=_published),
    Scene(name="publish-silent", prepare=_silent),
    Scene(name="publish-failed", prepare=_failed),
    Scene(name="publish-withdrawn", prepare=_withdrawn),
    Scene(name="dialog-execute", prepare=_draft, act=_open("execute")),
    Scene(name="dialog-delete", prepare=_draft, act=_open("delete")),
    Scene(name="dialog-withdraw", prepare=_published, act=_open("withdraw")),
    Scene(name="dialog-cancel", prepare=_deploying, act=_open("cancel")),
    Scene(name="publish-cancelled", prepare=_cancelled),
    *KEYS,
    Scene(name="compare", prepare=_compare),
    Scene(name="confirm-withdraw", prepare=_below("withdraw", _published)),
    Scene(name="settings", prepare=_below("settings", _draft)),
    Scene(name="no-workspace", prepare=_without_workspace, status=403),
    Scene(
        name="not-found",
        prepare=lambda world, client: reverse("products:detail", args=[nobody_knows()]),
        status=404,
    ),
)
