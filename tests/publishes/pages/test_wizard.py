"""The wizard: cluster → Gateway → settings → confirm → a draft. The way through, and who may go it."""

from django.test import Client
from django.urls import reverse

from gateways.models import GatewayCluster
from products.models import Product
from publishes.models import Operation, ProductPublish
from tenants.actors import Role
from tenants.models import Membership, User
from tests.pages import html_of, signed_in, text_of
from tests.places import cluster, gateway
from tests.publishes.pages.run import Run
from tests.world import World, nobody_knows


def test_a50_the_way_through_ends_in_a_draft_on_its_detail_page(run: Run, world: World) -> None:
    run.choose(environment="stage", visibility="private", approval_required="")
    confirmed = run.confirm()
    (publish,) = ProductPublish.objects.all()
    assert confirmed.headers["Location"] == reverse("publishes:detail", args=[world.product.pk, publish.pk])
    assert (publish.status, publish.environment, publish.auth_mode, publish.auth_config) == (
        "DRAFT",
        "stage",
        "none",
        {},
    )
    assert (publish.visibility, publish.approval_required) == ("private", False)
    assert (publish.cluster, publish.gateway, publish.product, publish.tenant) == (
        world.cluster,
        world.gateway,
        world.product,
        world.tenant,
    )
    assert publish.hostname_base == "payment-api.stage.kr-seoul.localhost"
    assert [event.kind for event in publish.events.all()] == ["created"]
    assert not Operation.objects.exists()
    assert "The publish was created" in text_of(run.client.get(confirmed.headers["Location"]))


def test_a43_the_steps_stand_in_order_and_the_entry_leads_to_the_first(run: Run, world: World) -> None:
    entry = run.client.get(reverse("publishes:create", args=[world.product.pk]))
    assert entry.headers["Location"] == run.url("cluster")
    page = html_of(run.get("cluster"))
    places = [page.index(f'"label">{caption}<') for caption in ("Cluster", "Gateway", "Settings", "Confirm")]
    assert places == sorted(places)
    assert 'aria-current="step"' in page
    assert run.client.post(reverse("publishes:create", args=[world.product.pk])).status_code == 405


def test_each_step_has_a_title_of_its_own_and_its_heading_has_the_focus(run: Run) -> None:
    run.choose()
    for number, (step, title) in enumerate(
        {"cluster": "Cluster", "gateway": "Gateway", "settings": "Settings", "confirm": "Confirm"}.items(),
        start=1,
    ):
        page = html_of(run.get(step))
        assert f"<title>{title} · Publish Payment API" in page
        heading = page.split('<h1 tabindex="-1" autofocus>')[1].split("</h1>")[0]
        assert f"Step {number} of 4: {title}" in heading
        assert page.count("autofocus") == 1


def test_enter_goes_forward_because_the_first_button_of_the_form_does(run: Run) -> None:
    run.choose()
    for step in ("cluster", "gateway", "settings", "confirm"):
        form = html_of(run.get(step)).split('id="wizard"')[1].split("</form>")[0]
        assert form.index("<button hidden></button>") == form.index("<button")


def test_a12_a39_back_keeps_what_was_typed_and_cancel_forgets_everything(run: Run, world: World) -> None:
    run.choose(upto="settings")
    back = run.post(
        "settings",
        **run.settings(environment="prod", hostname_base="MINE not yet right"),
        wizard_goto_step="gateway",
    )
    assert back.headers["Location"] == run.url("gateway")
    again = html_of(run.get("settings"))
    assert 'value="MINE not yet right"' in again
    assert 'value="prod" checked' in again
    cancelled = run.post("settings", wizard_cancel="1")
    assert cancelled.headers["Location"] == reverse("products:detail", args=[world.product.pk])
    assert run.get("settings").headers["Location"] == run.url("cluster")
    assert not ProductPublish.objects.exists()


def test_a38_another_cluster_clears_the_gateway_and_the_same_one_does_not(run: Run, world: World) -> None:
    busan = cluster("busan")
    GatewayCluster.objects.create(gateway=world.gateway, cluster=busan)
    gateway(world, "second", busan)
    run.choose()
    run.post("cluster", cluster=world.cluster.pk)
    assert " checked" in html_of(run.get("gateway"))
    run.post("cluster", cluster=busan.pk)
    assert " checked" not in html_of(run.get("gateway"))
    assert run.get("confirm").headers["Location"] == run.url("gateway")


def test_only_writers_of_the_tenant_get_in_and_only_with_an_active_product(
    run: Run, world: World, other: World
) -> None:
    viewer = User.objects.create_user("viewer")
    Membership.objects.create(user=viewer, tenant=world.tenant, role=Role.VIEWER)
    for step in ("cluster", "gateway", "settings", "confirm"):
        assert Run(world, signed_in(viewer)).get(step).status_code == 403
        assert Run(world, signed_in(viewer)).post(step).status_code == 403
        assert Run(world, signed_in(other.user)).get(step).status_code == 404
        assert Run(world, signed_in(other.user)).post(step).status_code == 404
    assert (
        run.client.get(reverse("publishes:create-step", args=[nobody_knows(), "cluster"])).status_code == 404
    )
    world.product.status = Product.Status.DRAFT
    world.product.save()
    refused = run.get("cluster")
    assert refused.status_code == 409
    assert "The product is not active. Activate it first" in text_of(refused)


def test_fragments_ask_the_same_at_the_door(world: World, other: World) -> None:
    stranger = signed_in(other.user)
    for name in ("create-checks", "create-hostname"):
        assert stranger.get(reverse(f"publishes:{name}", args=[world.product.pk])).status_code == 404
        assert (
            signed_in(world.user).post(reverse(f"publishes:{name}", args=[world.product.pk])).status_code
            == 405
        )


def test_a_product_without_services_is_refused_in_words(run: Run, world: World) -> None:
    world.product.links.all().delete()
    refused = run.get("cluster")
    assert refused.status_code == 409
    assert "No API service is linked to the product. Link one first" in text_of(refused)


def test_a_signed_out_browser_is_led_to_sign_in(world: World) -> None:
    assert Run(world, Client()).get("cluster").headers["Location"].startswith("/sign-in?next=")
