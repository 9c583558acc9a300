"""The wizard: cluster → Gateway → settings → confirm → a draft. What it offers, what it refuses and in which words."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from clusters.models import Agent, AgentLiveness, Cluster
from gateways.models import Gateway, GatewayCluster, Listener
from products.models import ApiService, Product
from publishes import services
from publishes.models import Operation, ProductPublish
from tenants.actors import Role
from tenants.models import Membership, User
from tests.issuing import IssuerSite
from tests.web.run import Run, signed_in, text_of
from tests.world import World, add_service, nobody_knows


@pytest.fixture
def run(world: World) -> Run:
    """The owner's browser before the first step."""
    return Run(world, signed_in(world.user))


def cluster(name: str, *, agents: int = 1, connected: int = 1, **fields: Any) -> Cluster:
    """One more cluster with so many enrolled agents, of which so many are connected."""
    made = Cluster.objects.create(name=name, region="kr-busan", host_suffixes=["busan.test"], **fields)
    for number in range(agents):
        agent = Agent.objects.create(cluster=made, name=f"agent-{number}", driver="envoy")
        seen = timezone.now() - timedelta(minutes=0 if number < connected else 90)
        AgentLiveness.objects.create(agent=agent, last_seen_at=seen, gateway_ok=True, gateway_version="1.40.0")
    return made


def gateway(world: World, name: str, *places: Cluster, **fields: Any) -> Gateway:
    """One more gateway of the tenant in those clusters."""
    made = Gateway.objects.create(tenant=world.tenant, name=name, **fields)
    for place in places:
        GatewayCluster.objects.create(gateway=made, cluster=place)
    return made


# --- the way through -----------------------------------------------------------------------------------------------------


def test_a50_the_way_through_ends_in_a_draft_on_its_detail_page(run: Run, world: World) -> None:
    run.choose(environment="stage", visibility="private", approval_required="")
    done = run.confirm()
    (publish,) = ProductPublish.objects.all()
    assert done.headers["Location"] == reverse("publishes:detail", args=[world.product.pk, publish.pk])
    assert (publish.status, publish.environment, publish.auth_mode, publish.auth_config) == ("DRAFT", "stage", "none", {})
    assert (publish.visibility, publish.approval_required) == ("private", False)
    assert (publish.cluster, publish.gateway, publish.product, publish.tenant) == (world.cluster, world.gateway, world.product, world.tenant)
    assert publish.hostname_base == "payment-api.stage.kr-seoul.localhost"
    assert [event.kind for event in publish.events.all()] == ["created"]
    assert not Operation.objects.exists()
    assert "The publish was created" in text_of(run.client.get(done.headers["Location"]))


def test_a43_the_steps_stand_in_order_and_the_entry_leads_to_the_first(run: Run, world: World) -> None:
    entry = run.client.get(reverse("publishes:create", args=[world.product.pk]))
    assert entry.headers["Location"] == run.url("cluster")
    page = run.get("cluster").content.decode()
    places = [page.index(f'"label">{caption}<') for caption in ("Cluster", "Gateway", "Settings", "Confirm")]
    assert places == sorted(places)
    assert 'aria-current="step"' in page
    assert run.client.post(reverse("publishes:create", args=[world.product.pk])).status_code == 405


def test_enter_goes_forward_because_the_first_button_of_the_form_does(run: Run) -> None:
    run.choose()
    for step in ("cluster", "gateway", "settings", "confirm"):
        form = run.get(step).content.decode().split('id="wizard"')[1].split("</form>")[0]
        assert form.index("<button hidden></button>") == form.index("<button")


def test_a12_a39_back_keeps_what_was_typed_and_cancel_forgets_everything(run: Run, world: World) -> None:
    run.choose(upto="settings")
    back = run.post("settings", **run.settings(environment="prod", hostname_base="MINE not yet right"), wizard_goto_step="gateway")
    assert back.headers["Location"] == run.url("gateway")
    again = run.get("settings").content.decode()
    assert 'value="MINE not yet right"' in again
    assert 'value="prod" checked' in again
    cancelled = run.post("settings", wizard_cancel="1")
    assert cancelled.headers["Location"] == reverse("products:detail", args=[world.product.pk])
    assert " checked" not in run.get("cluster").content.decode()
    assert not ProductPublish.objects.exists()


def test_a38_another_cluster_clears_the_gateway_and_the_same_one_does_not(run: Run, world: World) -> None:
    busan = cluster("busan")
    GatewayCluster.objects.create(gateway=world.gateway, cluster=busan)
    run.choose()
    run.post("cluster", cluster=world.cluster.pk)
    assert " checked" in run.get("gateway").content.decode()
    run.post("cluster", cluster=busan.pk)
    assert " checked" not in run.get("gateway").content.decode()
    assert run.get("confirm").headers["Location"] == run.url("gateway")


# --- who may, and for what -----------------------------------------------------------------------------------------------


def test_only_writers_of_the_tenant_get_in_and_only_with_an_active_product(run: Run, world: World, other: World) -> None:
    viewer = User.objects.create_user("viewer")
    Membership.objects.create(user=viewer, tenant=world.tenant, role=Role.VIEWER)
    for step in ("cluster", "gateway", "settings", "confirm"):
        assert Run(world, signed_in(viewer)).get(step).status_code == 403
        assert Run(world, signed_in(viewer)).post(step).status_code == 403
        assert Run(world, signed_in(other.user)).get(step).status_code == 404
        assert Run(world, signed_in(other.user)).post(step).status_code == 404
    assert run.client.get(reverse("publishes:create-step", args=[nobody_knows(), "cluster"])).status_code == 404
    world.product.status = Product.Status.DRAFT
    world.product.save()
    refused = run.get("cluster")
    assert refused.status_code == 409
    assert "The product is not active. Activate it first" in text_of(refused)


def test_fragments_ask_the_same_at_the_door(world: World, other: World) -> None:
    stranger = signed_in(other.user)
    for name in ("create-checks", "create-hostname"):
        assert stranger.get(reverse(f"publishes:{name}", args=[world.product.pk])).status_code == 404
        assert signed_in(world.user).post(reverse(f"publishes:{name}", args=[world.product.pk])).status_code == 405


def test_a_product_without_services_is_refused_in_words(run: Run, world: World) -> None:
    world.product.links.all().delete()
    refused = run.get("cluster")
    assert refused.status_code == 409
    assert "No API service is linked to the product. Link one first" in text_of(refused)


# --- step 1 --------------------------------------------------------------------------------------------------------------


def test_a36_a41_clusters_tell_their_agents_and_last_sync(run: Run) -> None:
    cluster("busan", agents=3, connected=2)
    page = text_of(run.get("cluster"))
    assert "Choose the cluster to publish to" in page
    assert "busan Active kr-busan · 2 of 3 agents connected · last sync" in page


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"maintenance": True}, "This cluster is in maintenance"),
        ({"agents": 0}, "No agent is enrolled in this cluster"),
        ({"agents": 2, "connected": 0}, "No agent of this cluster is connected now"),
    ],
)
def test_a80_a_cluster_that_cannot_be_used_is_shown_with_the_reason_and_refused(run: Run, made: dict[str, Any], reason: str) -> None:
    unusable = cluster("away", **made)
    page = run.get("cluster").content.decode()
    card = page[page.index(str(unusable.pk)) :].split("</label>")[0]
    assert " disabled" in card
    assert reason in card
    refused = run.post("cluster", cluster=unusable.pk)
    assert refused.status_code == 422
    assert text_of(refused).count(reason) == 2
    assert run.get("gateway").headers["Location"] == run.url("cluster")


def test_usable_clusters_stand_first_each_part_by_name(run: Run, world: World) -> None:
    for name, connected in (("zzz", 1), ("bbb-away", 0), ("aaa-away", 0), ("mmm", 1)):
        cluster(name, connected=connected)
    page = text_of(run.get("cluster"))
    places = [page.index(f" {name} ") for name in (world.cluster.name, "mmm", "zzz", "aaa-away", "bbb-away")]
    assert places == sorted(places)


def test_a40_nothing_or_nonsense_chosen_is_refused(run: Run) -> None:
    assert "Choose a cluster." in text_of(run.post("cluster"))
    for nonsense in ("", "x", nobody_knows()):
        assert run.post("cluster", cluster=nonsense).status_code == 422
    assert run.get("gateway").headers["Location"] == run.url("cluster")


def test_without_clusters_the_page_says_what_to_do(run: Run) -> None:
    GatewayCluster.objects.all().delete()
    Cluster.objects.all().delete()
    page = text_of(run.get("cluster"))
    assert "There is no cluster yet Ask an operator to set up a cluster and enrol an agent in it." in page


def test_when_none_is_usable_the_page_says_what_to_do(run: Run, world: World) -> None:
    AgentLiveness.objects.all().delete()
    assert "None of the clusters can be used now. Ask an operator" in text_of(run.get("cluster"))


# --- step 2 --------------------------------------------------------------------------------------------------------------


def test_a37_a42_gateways_of_the_cluster_alone_with_listeners_class_and_version(run: Run, world: World, other: World) -> None:
    AgentLiveness.objects.filter(agent__name="busan-1").update(gateway_version="1.40.0")
    AgentLiveness.objects.filter(agent__name="busan-2").update(gateway_version="1.39.2")
    Listener.objects.create(gateway=world.gateway, name="web", port=8080)
    Listener.objects.create(gateway=world.gateway, name="tls", port=8443, protocol="HTTPS")
    gateway(world, "elsewhere", cluster("busan"))
    gateway(world, "switched-off", world.cluster, status=Gateway.Status.INACTIVE)
    GatewayCluster.objects.create(gateway=other.gateway, cluster=world.cluster)
    run.choose(upto="gateway")
    page = text_of(run.get("gateway"))
    assert f"{world.gateway.name} 8080 (HTTP), 8443 (HTTPS) · Envoy 1.39.2, 1.40.0" in page
    assert page.count("Envoy") == 1
    for foreign in (other.gateway, Gateway.objects.get(name="elsewhere"), Gateway.objects.get(name="switched-off")):
        assert run.post("gateway", gateway=foreign.pk).status_code == 422
    assert run.get("settings").headers["Location"] == run.url("gateway")


def test_a_gateway_that_no_agent_serves_is_shown_with_the_reason_and_refused(run: Run, world: World) -> None:
    kong = gateway(world, "kong", world.cluster, gateway_class=Gateway.Class.KONG)
    run.choose(upto="gateway")
    assert "No agent of this cluster serves this class of gateway." in text_of(run.get("gateway"))
    assert run.post("gateway", gateway=kong.pk).status_code == 422


def test_without_gateways_the_page_says_what_to_do(run: Run, world: World) -> None:
    world.gateway.places.all().delete()
    run.post("cluster", cluster=world.cluster.pk)
    assert "None of your gateways stands in this cluster Ask an operator to put an active gateway into it" in text_of(run.get("gateway"))


# --- step 3 --------------------------------------------------------------------------------------------------------------


def test_a44_to_a48_a85_the_settings_start_with_the_defaults(run: Run) -> None:
    run.choose(upto="settings")
    response = run.get("settings")
    page = response.content.decode()
    for value in ("dev", "none", "public"):
        assert f'value="{value}" checked' in page
    assert 'name="settings-approval_required" id="id_settings-approval_required" checked' in page
    assert 'value="payment-api.dev.kr-seoul.localhost"' in page
    assert "Each environment can have plans of its own." in text_of(response)
    assert 'name="settings-key_header"' in page.split('class="api-key"')[1]
    for name in ("issuer_url", "audience", "scopes"):
        assert f'name="settings-{name}"' in page.split('class="oauth"')[1]


def test_a45_api_key_with_a_header_of_its_own(run: Run) -> None:
    run.choose(auth_mode="api-key", key_header="X-Api-Key", issuer_url="not even a URL")
    assert "X-Api-Key" in text_of(run.get("confirm"))
    run.confirm()
    publish = ProductPublish.objects.get()
    assert (publish.auth_mode, publish.auth_config) == ("api-key", {"key_header": "X-Api-Key"})


def test_a46_oauth2_asks_for_issuer_audience_and_scopes(run: Run, issuer_site: IssuerSite) -> None:
    run.choose(auth_mode="oauth2", issuer_url=issuer_site.url, audience="payment-api", scopes="read write")
    confirm = text_of(run.get("confirm"))
    assert issuer_site.url in confirm
    assert "payment-api" in confirm
    asked = len(issuer_site.asked)
    run.get("confirm")
    assert len(issuer_site.asked) == asked  # looking at it again asks nobody
    run.confirm()
    publish = ProductPublish.objects.get()
    assert (publish.auth_mode, publish.auth_config) == ("oauth2", issuer_site.config)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"issuer_url": ""}, "Say which issuer the tokens come from."),
        ({"issuer_url": "auth.example.com"}, "without a question mark or a fragment"),
        ({"issuer_url": "https://10.0.0.1/"}, "Its address is not public, and operators have not allowed it."),
        ({"audience": ""}, "Say which audience the tokens must be for."),
        ({"scopes": 'a"b'}, "Scopes are words of visible ASCII characters"),
    ],
)
def test_a46_oauth_settings_that_are_not_right_are_refused_in_words_and_stay(run: Run, issuer_site: IssuerSite, change: dict[str, str], words: str) -> None:
    run.choose(upto="settings")
    given = {"issuer_url": issuer_site.url, "audience": "payment-api", "scopes": "read"} | change
    refused = run.post("settings", **run.settings(auth_mode="oauth2", **given))
    assert refused.status_code == 422
    assert words in text_of(refused)
    for value in filter(None, given.values()):
        assert f'value="{escape(value)}"' in refused.content.decode()


def test_a46_oauth_fields_are_ignored_in_the_mode_none(run: Run) -> None:
    run.choose(issuer_url="not even a URL", audience="x", scopes="y")
    run.confirm()
    assert ProductPublish.objects.get().auth_config == {}


def test_a_draft_s_oauth_settings_are_shown_where_they_are_changed(run: Run, issuer_site: IssuerSite) -> None:
    run.choose(auth_mode="oauth2", issuer_url=issuer_site.url, audience="payment-api", scopes="read write")
    run.confirm()
    publish = ProductPublish.objects.get()
    page = run.client.get(reverse("publishes:edit", args=[publish.product_id, publish.pk])).content.decode()
    for value in (issuer_site.url, "payment-api", "read write"):
        assert f'value="{value}"' in page


def test_a51_the_hostname_follows_environment_and_cluster_until_it_is_edited(run: Run, world: World) -> None:
    busan = cluster("busan")
    there = gateway(world, "there", busan)
    run.choose(environment="prod")
    assert "payment-api.prod.kr-seoul.localhost" in text_of(run.get("confirm"))
    run.post("cluster", cluster=busan.pk)
    run.post("gateway", gateway=there.pk)
    assert 'value="payment-api.prod.kr-busan.busan.test"' in run.get("settings").content.decode()
    run.post("settings", **run.settings(environment="prod", hostname_base="mine.busan.test"))
    run.post("settings", **run.settings(environment="dev"))
    assert "mine.busan.test" in text_of(run.get("confirm"))


def test_after_another_cluster_the_settings_have_to_be_seen_again(run: Run, world: World) -> None:
    busan = cluster("busan")
    there = gateway(world, "there", busan)
    run.choose()
    run.post("cluster", cluster=busan.pk)
    run.post("gateway", gateway=there.pk)
    assert run.get("confirm").headers["Location"] == run.url("settings")


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("pay.example.com", "In this cluster a hostname must end in one of: localhost."),
        ("*.localhost", "A full hostname such as"),
        ("Pay.localhost", "A full hostname such as"),
        ("localhost", "A full hostname such as"),
        ("a" * 300 + ".localhost", "at most 253 characters"),
    ],
)
def test_a_wrong_hostname_is_refused_and_kept_to_be_put_right(run: Run, host: str, words: str) -> None:
    run.choose(upto="settings")
    refused = run.post("settings", **run.settings(hostname_base=host))
    assert refused.status_code == 422
    assert words in text_of(refused)
    assert f'value="{host}"' in refused.content.decode()


def test_a_hostname_that_another_publish_holds_is_refused_with_a_free_one(run: Run, world: World) -> None:
    world.published(hostname_base="shop.localhost")
    world.draft(hostname_base="shop-2.localhost")
    run.choose(upto="settings")
    refused = run.post("settings", **run.settings(hostname_base="shop.localhost"))
    assert refused.status_code == 422
    assert "Another publish has this hostname in this cluster. shop-3.localhost is free." in text_of(refused)


def test_the_same_hostname_in_another_cluster_is_fine(run: Run, world: World) -> None:
    world.published(hostname_base="shop.localhost")
    elsewhere = Cluster.objects.create(name="elsewhere", region="x", host_suffixes=["localhost"])
    assert services.is_held("shop.localhost", cluster=world.cluster)
    assert not services.is_held("shop.localhost", cluster=elsewhere)


def test_an_emptied_hostname_is_filled_in_again(run: Run) -> None:
    run.choose(hostname_base="")
    assert "payment-api.dev.kr-seoul.localhost" in text_of(run.get("confirm"))


@pytest.mark.parametrize(("name", "label"), [("결제", "api"), ("Payment_API (v2)", "payment-api-v2"), ("x" * 49 + " y", "x" * 49)])
def test_any_product_name_gives_a_right_hostname(world: World, name: str, label: str) -> None:
    world.product.name = name
    assert services.suggest_hostname(product=world.product, cluster=world.cluster, environment="dev") == f"{label}.dev.kr-seoul.localhost"


def test_the_hostname_fragment_follows_the_environment(run: Run, world: World) -> None:
    run.choose(upto="settings")
    url = reverse("publishes:create-hostname", args=[world.product.pk])
    shown = {f"settings-{name}": value for name, value in run.settings(environment="prod").items()}
    followed = run.client.get(url, shown).content.decode()
    assert followed.strip().startswith('<div id="hostname-field"')
    assert followed.count('value="payment-api.prod.kr-seoul.localhost"') == 2
    edited = run.client.get(url, shown | {"settings-hostname_base": "mine.localhost"}).content.decode()
    assert 'value="mine.localhost"' in edited
    assert 'value="payment-api.prod' not in edited


# --- the confirm page ----------------------------------------------------------------------------------------------------


def test_confirm_shows_every_choice_with_a_way_back_and_what_goes_where(run: Run, world: World) -> None:
    run.choose(environment="prod")
    response = run.get("confirm")
    page, text = response.content.decode(), text_of(response)
    for step in ("cluster", "gateway", "settings"):
        assert f'href="{run.url(step)}"' in page
    for shown in (world.cluster.name, world.gateway.name, "Production", "None", "Public", "Needed"):
        assert shown in text
    assert "payment-api.prod.kr-seoul.localhost/billing/* → 127.0.0.1:8081 GET POST PUT DELETE" in text
    assert "What will be published (3)" in text
    assert "What does not go along" not in text
    assert "nothing is deployed yet" in text


def test_confirm_says_what_will_not_go_and_why(run: Run, world: World) -> None:
    add_service(world.product, "Asleep", "/asleep", [], active=False)
    add_service(world.product, "Pathless", None, [])
    run.choose()
    text = text_of(run.get("confirm"))
    assert "What does not go along Asleep — The service is inactive. Pathless — The service has no active route." in text
    assert "/asleep" not in text


def test_with_nothing_to_deploy_a_draft_can_still_be_made_and_the_page_says_so(run: Run, world: World) -> None:
    ApiService.objects.update(status=ApiService.Status.INACTIVE)
    run.choose()
    page = text_of(run.client.get(run.url("confirm"), {"check": ""}))
    assert "Nothing yet: no linked service is active" in page
    assert "Blocks publishing" in page
    assert run.confirm().status_code == 302
    assert ProductPublish.objects.count() == 1


def test_a_cluster_that_went_into_maintenance_meanwhile_is_refused_at_the_end_in_words(run: Run, world: World) -> None:
    run.choose()
    key = run.key()
    Cluster.objects.filter(pk=world.cluster.pk).update(maintenance=True)
    refused = run.post("confirm", run_key=key)
    assert refused.headers["Location"] == run.url("cluster")
    assert "This cluster is in maintenance; choose another one." in text_of(run.client.get(refused.headers["Location"]))
    assert not ProductPublish.objects.exists()


def test_agents_that_went_away_meanwhile_do_not_prevent_a_draft(run: Run) -> None:
    run.choose()
    AgentLiveness.objects.update(last_seen_at=timezone.now() - timedelta(hours=1))
    assert run.confirm().status_code == 302
    assert ProductPublish.objects.count() == 1


def test_a_suggested_hostname_taken_meanwhile_is_shown_again_before_anything_is_made(run: Run, world: World) -> None:
    run.choose()
    key = run.key()
    world.draft(hostname_base="payment-api.dev.kr-seoul.localhost")
    moved = run.post("confirm", run_key=key)
    assert moved.headers["Location"] == run.url("confirm")
    assert ProductPublish.objects.count() == 1
    page = text_of(run.get("confirm"))
    assert "payment-api-2.dev.kr-seoul.localhost" in page
    assert "The suggested hostname was taken in the meantime." in page
    assert run.confirm().status_code == 302
    assert ProductPublish.objects.filter(hostname_base="payment-api-2.dev.kr-seoul.localhost").count() == 1


def test_a_typed_hostname_taken_meanwhile_leads_back_to_the_settings(run: Run, world: World) -> None:
    run.choose(hostname_base="mine.localhost")
    key = run.key()
    world.published(hostname_base="mine.localhost")
    moved = run.post("confirm", run_key=key)
    assert moved.headers["Location"] == run.url("settings")
    assert "mine-2.localhost is free" in text_of(run.get("settings"))
    assert ProductPublish.objects.count() == 1


# --- 설정 변경 -----------------------------------------------------------------------------------------------------------


def test_a_drafts_settings_are_changed_with_the_same_form(world: World) -> None:
    publish = world.draft()
    client = signed_in(world.user)
    url = reverse("publishes:edit", args=[publish.product_id, publish.pk])
    page = client.get(url).content.decode()
    assert 'name="hostname_suggested" value="payment-api.dev.kr-seoul.localhost"' in page
    fields = {"environment": "prod", "auth_mode": "none", "visibility": "private", "hostname_base": publish.hostname_base}
    refused = client.post(url, fields | {"auth_mode": "oauth2"})
    assert refused.status_code == 422
    changed = client.post(url, fields | {"hostname_suggested": publish.hostname_base})
    assert changed.headers["Location"] == reverse("publishes:detail", args=[publish.product_id, publish.pk])
    publish.refresh_from_db()
    assert (publish.environment, publish.visibility, publish.approval_required) == ("prod", "private", False)
    assert publish.hostname_base == "payment-api.dev.kr-seoul.localhost"  # what the page showed; nothing follows here
    assert (publish.cluster_id, publish.gateway_id) == (world.cluster.pk, world.gateway.pk)


def test_a_draft_keeps_the_hostname_it_has_itself(world: World) -> None:
    publish = world.draft(hostname_base="own.localhost")
    services.request_publish(world.actor, publish.pk)
    url = reverse("publishes:edit", args=[publish.product_id, publish.pk])
    form = {"environment": "dev", "auth_mode": "none", "visibility": "public", "hostname_base": "own.localhost"}
    refused = signed_in(world.user).post(url, form)
    assert "Another publish has this hostname" not in text_of(refused)


def test_only_a_draft_has_such_a_page(world: World) -> None:
    publish = world.published()
    answer = signed_in(world.user).get(reverse("publishes:edit", args=[publish.product_id, publish.pk]))
    assert answer.status_code == 409
    assert "Only a draft can be changed." in text_of(answer)


def test_a_signed_out_browser_is_led_to_sign_in(world: World) -> None:
    assert Run(world, Client()).get("cluster").headers["Location"].startswith("/sign-in?next=")


def test_what_was_refused_survives_a_reload_and_keeps_later_steps_shut(run: Run, world: World) -> None:
    run.post("cluster", cluster=world.cluster.pk)
    run.post("gateway", gateway=world.gateway.pk)
    refused = run.post("settings", environment="prod", auth_mode="none", visibility="private", hostname_base="mine.elsewhere.com")
    assert refused.status_code == 422
    again = run.get("settings").content.decode()
    assert 'value="mine.elsewhere.com"' in again
    assert "In this cluster a hostname must end in one of" in again
    assert run.get("confirm").headers["Location"] == run.url("settings")
