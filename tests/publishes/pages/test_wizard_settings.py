"""The wizard's third step, and 설정 변경 of a draft: what is filled in, what is refused, and why."""

import pytest
from django.urls import reverse
from django.utils.html import escape

from clusters.models import Cluster
from publishes.engine import hosts
from publishes.models import ProductPublish
from publishes.verbs import drafts, publishing
from tests.issuing import IssuerSite
from tests.pages import html_of, signed_in, text_of
from tests.places import cluster, gateway
from tests.publishes.pages.run import Run
from tests.world import World


def test_a44_to_a48_a85_the_settings_start_with_the_defaults(run: Run) -> None:
    run.choose(upto="settings")
    response = run.get("settings")
    page = html_of(response)
    for value in ("dev", "none", "public"):
        assert f'value="{value}" checked' in page
    assert 'name="settings-approval_required" id="id_settings-approval_required" checked' in page
    assert 'value="payment-api.dev.kr-seoul.localhost"' in page
    assert "plans" not in text_of(response)
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
    requests_before = len(issuer_site.requested_paths)
    run.get("confirm")
    assert len(issuer_site.requested_paths) == requests_before  # looking at it again asks nobody
    run.confirm()
    publish = ProductPublish.objects.get()
    assert (publish.auth_mode, publish.auth_config) == ("oauth2", issuer_site.config)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"issuer_url": ""}, "Say which issuer the tokens come from."),
        ({"issuer_url": "auth.example.com"}, "without a question mark or a fragment"),
        (
            {"issuer_url": "https://10.0.0.1/"},
            "Its address is not public, and operators have not allowed it.",
        ),
        ({"audience": ""}, "Say which audience the tokens must be for."),
        ({"scopes": 'a"b'}, "Scopes are words of visible ASCII characters"),
    ],
)
def test_a46_oauth_settings_that_are_not_right_are_refused_in_words_and_stay(
    run: Run, issuer_site: IssuerSite, change: dict[str, str], text: str
) -> None:
    run.choose(upto="settings")
    config = {"issuer_url": issuer_site.url, "audience": "payment-api", "scopes": "read"} | change
    refused = run.post("settings", **run.settings(auth_mode="oauth2", **config))
    assert refused.status_code == 422
    assert text in text_of(refused)
    for value in filter(None, config.values()):
        assert f'value="{escape(value)}"' in html_of(refused)


def test_a46_everything_that_is_wrong_with_the_oauth_settings_is_said_at_once(run: Run) -> None:
    run.choose(upto="settings")
    page = text_of(
        run.post("settings", **run.settings(auth_mode="oauth2", issuer_url="", audience="", scopes='a"b'))
    )
    for text in (
        "Say which issuer the tokens come from.",
        "Say which audience the tokens must be for.",
        "Scopes are words of visible ASCII characters",
    ):
        assert page.count(text) == 1


def test_a46_oauth_fields_are_ignored_in_the_mode_none(run: Run) -> None:
    run.choose(issuer_url="not even a URL", audience="x", scopes="y")
    run.confirm()
    assert ProductPublish.objects.get().auth_config == {}


def test_a_draft_s_oauth_settings_are_shown_where_they_are_changed(run: Run, issuer_site: IssuerSite) -> None:
    run.choose(auth_mode="oauth2", issuer_url=issuer_site.url, audience="payment-api", scopes="read write")
    run.confirm()
    publish = ProductPublish.objects.get()
    page = html_of(run.client.get(reverse("publishes:edit", args=[publish.product_id, publish.pk])))
    for value in (issuer_site.url, "payment-api", "read write"):
        assert f'value="{value}"' in page


def test_a51_the_hostname_follows_environment_and_cluster_until_it_is_edited(run: Run, world: World) -> None:
    busan = cluster("busan")
    busan_gateway = gateway(world, "there", busan)
    run.choose(environment="prod")
    assert "payment-api.prod.kr-seoul.localhost" in text_of(run.get("confirm"))
    run.post("cluster", cluster=busan.pk)
    run.post("gateway", gateway=busan_gateway.pk)
    assert 'value="payment-api.prod.kr-busan.busan.test"' in html_of(run.get("settings"))
    run.post("settings", **run.settings(environment="prod", hostname_base="mine.busan.test"))
    run.post("settings", **run.settings(environment="dev"))
    assert "mine.busan.test" in text_of(run.get("confirm"))


def test_after_another_cluster_the_settings_have_to_be_seen_again(run: Run, world: World) -> None:
    busan = cluster("busan")
    busan_gateway = gateway(world, "there", busan)
    run.choose()
    run.post("cluster", cluster=busan.pk)
    run.post("gateway", gateway=busan_gateway.pk)
    assert run.get("confirm").headers["Location"] == run.url("settings")


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("pay.example.com", "In this cluster a hostname must end in one of: localhost."),
        ("*.localhost", "A full hostname such as"),
        ("Pay.localhost", "A full hostname such as"),
        ("localhost", "A full hostname such as"),
        ("a" * 300 + ".localhost", "at most 253 characters"),
    ],
)
def test_a_wrong_hostname_is_refused_and_kept_to_be_put_right(run: Run, host: str, text: str) -> None:
    run.choose(upto="settings")
    refused = run.post("settings", **run.settings(hostname_base=host))
    assert refused.status_code == 422
    assert text in text_of(refused)
    assert f'value="{host}"' in html_of(refused)


def test_a_hostname_that_another_publish_holds_is_refused_with_a_free_one(run: Run, world: World) -> None:
    world.published(hostname_base="shop.localhost")
    world.draft(hostname_base="shop-2.localhost")
    run.choose(upto="settings")
    refused = run.post("settings", **run.settings(hostname_base="shop.localhost"))
    assert refused.status_code == 422
    assert "Another publish has this hostname in this cluster. shop-3.localhost is free." in text_of(refused)


def test_the_same_hostname_in_another_cluster_is_fine(run: Run, world: World) -> None:
    world.published(hostname_base="shop.localhost")
    elsewhere = Cluster.objects.create(
        name="elsewhere", region="x", host_suffixes=["localhost"], open_to_all=True
    )
    assert hosts.is_host_taken("shop.localhost", cluster=world.cluster, tenant_id=world.tenant.pk)
    assert not hosts.is_host_taken("shop.localhost", cluster=elsewhere, tenant_id=world.tenant.pk)


def test_an_emptied_hostname_is_filled_in_again(run: Run) -> None:
    run.choose(hostname_base="")
    assert "payment-api.dev.kr-seoul.localhost" in text_of(run.get("confirm"))


@pytest.mark.parametrize(
    ("name", "label"), [("결제", "api"), ("Payment_API (v2)", "payment-api-v2"), ("x" * 49 + " y", "x" * 49)]
)
def test_any_product_name_gives_a_right_hostname(world: World, name: str, label: str) -> None:
    world.product.name = name
    assert (
        hosts.suggest_hostname(product=world.product, cluster=world.cluster, environment="dev")
        == f"{label}.dev.kr-seoul.localhost"
    )


def test_the_hostname_fragment_follows_the_environment(run: Run, world: World) -> None:
    run.choose(upto="settings")
    url = reverse("publishes:create-hostname", args=[world.product.pk])
    shown = {f"settings-{name}": value for name, value in run.settings(environment="prod").items()}
    followed = html_of(run.client.get(url, shown))
    assert followed.strip().startswith('<div id="hostname-field"')
    assert followed.count('value="payment-api.prod.kr-seoul.localhost"') == 2
    edited = html_of(run.client.get(url, shown | {"settings-hostname_base": "mine.localhost"}))
    assert 'value="mine.localhost"' in edited
    assert 'value="payment-api.prod' not in edited


def test_a_drafts_settings_are_changed_with_the_same_form(world: World) -> None:
    publish = world.draft()
    client = signed_in(world.user)
    url = reverse("publishes:edit", args=[publish.product_id, publish.pk])
    page = html_of(client.get(url))
    assert 'name="hostname_suggested" value="payment-api.dev.kr-seoul.localhost"' in page
    fields = {
        "environment": "prod",
        "auth_mode": "none",
        "visibility": "private",
        "hostname_base": publish.hostname_base,
    }
    refused = client.post(url, fields | {"auth_mode": "oauth2"})
    assert refused.status_code == 422
    changed = client.post(url, fields | {"hostname_suggested": publish.hostname_base})
    assert changed.headers["Location"] == reverse("publishes:detail", args=[publish.product_id, publish.pk])
    publish.refresh_from_db()
    assert (publish.environment, publish.visibility, publish.approval_required) == ("prod", "private", False)
    assert (
        publish.hostname_base == "payment-api.dev.kr-seoul.localhost"
    )  # what the page showed; nothing follows here
    assert (publish.cluster_id, publish.gateway_id) == (world.cluster.pk, world.gateway.pk)


def test_a_drafts_settings_that_somebody_else_changed_meanwhile_are_not_written_over(world: World) -> None:
    publish = world.draft()
    client, url = signed_in(world.user), reverse("publishes:edit", args=[publish.product_id, publish.pk])
    page = html_of(client.get(url))
    assert '<input type="hidden" name="revision" value="1">' in page
    drafts.update_publish(world.actor, publish.pk, settings=world.settings(visibility="private"))
    typed = {
        "environment": "stage",
        "auth_mode": "none",
        "visibility": "public",
        "hostname_base": publish.hostname_base,
        "revision": "1",
    }
    refused = client.post(url, typed)
    assert refused.status_code == 409
    assert "Somebody else changed this in the meantime." in text_of(refused)
    assert 'name="revision" value="1"' in html_of(refused)
    publish.refresh_from_db()
    assert (publish.environment, publish.visibility) == ("dev", "private")
    again = client.post(url, typed | {"revision": publish.revision})
    assert again.status_code == 302
    publish.refresh_from_db()
    assert (publish.environment, publish.visibility) == ("stage", "public")


def test_a_draft_keeps_the_hostname_it_has_itself(world: World) -> None:
    publish = world.draft(hostname_base="own.localhost")
    publishing.request_publish(world.actor, publish.pk)
    url = reverse("publishes:edit", args=[publish.product_id, publish.pk])
    form = {
        "environment": "dev",
        "auth_mode": "none",
        "visibility": "public",
        "hostname_base": "own.localhost",
    }
    refused = signed_in(world.user).post(url, form)
    assert "Another publish has this hostname" not in text_of(refused)


def test_only_a_draft_has_such_a_page(world: World) -> None:
    publish = world.published()
    answer = signed_in(world.user).get(reverse("publishes:edit", args=[publish.product_id, publish.pk]))
    assert answer.status_code == 409
    assert "Only a draft can be changed." in text_of(answer)


def test_what_was_refused_survives_a_reload_and_keeps_later_steps_shut(run: Run, world: World) -> None:
    run.post("cluster", cluster=world.cluster.pk)
    run.post("gateway", gateway=world.gateway.pk)
    refused = run.post(
        "settings",
        environment="prod",
        auth_mode="none",
        visibility="private",
        hostname_base="mine.elsewhere.com",
    )
    assert refused.status_code == 422
    again = html_of(run.get("settings"))
    assert 'value="mine.elsewhere.com"' in again
    assert "In this cluster a hostname must end in one of" in again
    assert run.get("confirm").headers["Location"] == run.url("settings")
