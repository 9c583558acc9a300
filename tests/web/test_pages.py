"""The pages: who sees what, what the buttons do, the status fragment, and how many queries a page costs."""

from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from agent.protocol.messages import Outcome
from core import pulse
from publishes import services
from publishes.models import Operation, ProductPublish
from tenants.actors import Role
from tenants.models import Membership, Tenant, User
from tests.web.run import Run
from tests.world import World, nobody_knows


def signed_in(user: User) -> Client:
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client


def member(tenant: Tenant, role: Role) -> User:
    user = User.objects.create_user(f"{tenant.slug}-{role}")
    Membership.objects.create(user=user, tenant=tenant, role=role)
    return user


@pytest.fixture
def browser(world: World) -> Client:
    """The tenant's owner, reading English."""
    return signed_in(world.user)


SCRIPT = {"HX-Request": "true"}


def url(name: str, publish: ProductPublish) -> str:
    return reverse(f"publishes:{name}", args=[publish.product_id, publish.pk])


def product_url(world: World) -> str:
    return reverse("products:detail", args=[world.product.pk])


def test_sign_in_leads_to_the_products_and_a_wrong_password_does_not(world: World) -> None:
    client = Client()
    assert client.get(product_url(world)).headers["Location"].startswith("/sign-in?next=")
    wrong = client.post("/sign-in", {"username": "acme-owner", "password": "nope"})
    assert wrong.status_code == 200
    right = client.post("/sign-in", {"username": "acme-owner", "password": "acme-secret"})
    assert right.headers["Location"] == reverse("products:list")
    assert "Payment API" in client.get(reverse("products:list")).content.decode()


def test_ten_wrong_passwords_lock_the_name_and_address_out(world: World) -> None:
    client = Client()
    for _ in range(10):
        client.post("/sign-in", {"username": "acme-owner", "password": "nope"})
    assert client.post("/sign-in", {"username": "acme-owner", "password": "acme-secret"}).status_code == 429


def test_the_clicks_from_draft_to_gone(world: World, browser: Client) -> None:
    run = Run(world, browser)
    run.choose()
    made = run.confirm()
    publish = ProductPublish.objects.get()
    assert made.headers["Location"] == url("detail", publish)
    assert "Publish now" in browser.get(url("detail", publish)).content.decode()

    assert browser.post(url("execute", publish), {"note": "first"}).headers["Location"] == url("detail", publish)
    page = browser.get(url("detail", publish)).content.decode()
    assert "Publishing" in page
    assert "every 100ms" in page
    assert 'data-dialog="execute"' not in page
    world.everybody_confirms()
    page = browser.get(url("detail", publish)).content.decode()
    assert "PUBLISHED" in page
    assert "every 100ms" not in page
    assert "2 of 2 agents serve v1" in page

    browser.post(url("withdraw", publish), {"reason": "for a reason"})
    world.everybody_confirms()
    assert "for a reason</blockquote>" in browser.get(url("detail", publish)).content.decode()
    browser.post(url("delete", publish))
    world.everybody_confirms()
    assert browser.get(url("detail", publish)).status_code == 404
    assert "Nothing is deployed yet" in browser.get(product_url(world)).content.decode()


def test_a_refusal_is_409_on_the_same_page_with_what_to_do(world: World, browser: Client) -> None:
    publish = world.draft()
    world.cluster.maintenance = True
    world.cluster.save()
    refused = browser.post(url("execute", publish))
    assert refused.status_code == 409
    assert "The cluster is in maintenance" in refused.content.decode()
    assert not Operation.objects.exists()


def test_a_failed_publish_shows_the_agents_words_and_try_again(world: World, browser: Client) -> None:
    from_agent = world.agents[0]
    publish = world.draft()
    services.request_publish(world.actor, publish.pk)
    (waiting,) = from_agent.claim()
    from_agent.answer(waiting, Outcome.REFUSED, code="rejected", message="duplicate domain")
    page = browser.get(url("detail", publish)).content.decode()
    assert "busan-1: duplicate domain" in page
    assert "Try again" in page
    browser.post(url("retry", publish))
    assert world.last_operation(publish).kind == "publish"


def test_the_status_fragment_is_204_until_something_changes(world: World, browser: Client) -> None:
    publish = world.draft()
    services.request_publish(world.actor, publish.pk)
    first = browser.get(url("live", publish))
    assert first.status_code == 200
    assert "history-changed" in first.headers["HX-Trigger-After-Settle"]
    seen = first.content.decode().split("?seen=")[1].split('"')[0]
    assert browser.get(url("live", publish), {"seen": seen}).status_code == 204
    world.agents[0].confirm_all()
    changed = browser.get(url("live", publish), {"seen": seen})
    assert changed.status_code == 200
    assert "1 of 2 agents confirmed v1" in changed.content.decode()


def test_when_a_deletion_is_done_the_status_fragment_leads_to_the_product(world: World, browser: Client) -> None:
    publish = world.withdrawn()
    services.request_delete(world.actor, publish.pk)
    world.everybody_confirms()
    assert browser.get(url("live", publish), headers=SCRIPT).headers["HX-Redirect"] == product_url(world)


@pytest.mark.parametrize("name", ["detail", "edit", "live", "agents", "history", "command", "execute", "withdraw", "delete", "retry", "cancel"])
def test_a24_another_tenants_pages_are_not_there(world: World, other: World, name: str) -> None:
    publish = world.draft()
    stranger = signed_in(other.user)
    ask = stranger.post if name in {"execute", "withdraw", "delete", "retry", "cancel"} else stranger.get
    assert ask(url(name, publish)).status_code == 404
    unknown = reverse(f"publishes:{name}", args=[world.product.pk, nobody_knows()])
    assert ask(unknown).status_code == 404
    assert not Operation.objects.exists()


def test_a24_another_tenants_product_is_not_there(world: World, other: World) -> None:
    stranger = signed_in(other.user)
    assert stranger.get(product_url(world)).status_code == 404
    assert stranger.get(reverse("publishes:create", args=[world.product.pk])).status_code == 404
    assert stranger.get(reverse("publishes:board", args=[world.product.pk])).status_code == 404
    assert "Payment API" in stranger.get(reverse("products:list")).content.decode()  # its own one of that name
    assert str(world.product.pk) not in stranger.get(reverse("products:list")).content.decode()


def test_a_publish_is_found_under_its_own_product_alone(world: World, browser: Client, other: World) -> None:
    publish = world.draft()
    assert browser.get(reverse("publishes:detail", args=[other.product.pk, publish.pk])).status_code == 404


def test_a_viewer_sees_no_button_and_posting_is_403(world: World) -> None:
    publish = world.withdrawn()
    viewer = signed_in(member(world.tenant, Role.VIEWER))
    page = viewer.get(url("detail", publish)).content.decode()
    assert "WITHDRAWN" in page
    assert "data-dialog" not in page
    before = Operation.objects.count()
    for name in ("execute", "withdraw", "delete", "retry"):
        assert viewer.post(url(name, publish)).status_code == 403
    assert viewer.get(reverse("publishes:create", args=[world.product.pk])).status_code == 403
    assert Operation.objects.count() == before


def test_billing_and_people_without_a_tenant_are_403(world: World) -> None:
    for user in (member(world.tenant, Role.BILLING), User.objects.create_user("nobody")):
        client = signed_in(user)
        assert client.get(reverse("products:list")).status_code == 403


@pytest.mark.parametrize(("status", "text"), [("draft", "Activate the product first"), ("archived", "read-only")])
def test_a75_a_product_that_is_not_active_offers_no_publish(world: World, browser: Client, status: str, text: str) -> None:
    world.published()
    world.product.status = status
    world.product.save()
    page = browser.get(product_url(world)).content.decode()
    assert text in page
    assert f'href="{reverse("publishes:create", args=[world.product.pk])}"' not in page


def test_a34_the_board_counts_environments_with_something_published(world: World, browser: Client) -> None:
    world.published()
    world.draft(environment="prod", hostname_base="p.localhost")
    page = browser.get(product_url(world)).content.decode()
    assert "Deployed in 1 environment" in page
    for title in ("DEV", "STAGING", "PROD"):
        assert f"<h3>{title}</h3>" in page


def test_pages_carry_the_strict_policy_and_nothing_from_outside(world: World, browser: Client) -> None:
    response = browser.get(url("detail", world.draft()))
    policy = {part.split(" ", 1)[0]: part.split(" ", 1)[1] for part in response.headers["Content-Security-Policy"].split("; ")}
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    page = response.content.decode()
    assert "style=" not in page
    assert "onclick" not in page
    assert 'src="http' not in page


SESSION_AND_USER = 3  # the session, the user and the memberships


@pytest.mark.parametrize("rows", [1, 50])
def test_queries_per_page_do_not_grow_with_rows(world: World, browser: Client, rows: int, django_assert_num_queries: Any) -> None:
    for number in range(rows):
        publish = world.published(hostname_base=f"n{number}.localhost")
    budgets = {
        reverse("products:list"): 4,
        product_url(world): 4,
        url("detail", publish): 7,
        url("live", publish): 2,
        url("agents", publish): 2,
        url("history", publish): 2,
        url("command", publish): 3,
        reverse("publishes:board", args=[world.product.pk]): 2,
    }
    for path, budget in budgets.items():
        with django_assert_num_queries(SESSION_AND_USER + budget, info=path):
            assert browser.get(path, headers=SCRIPT).status_code == 200


def test_every_stored_thing_can_be_looked_at_in_the_operators_admin_and_states_not_changed(world: World) -> None:
    publish = world.published()
    operator = signed_in(User.objects.create_superuser("operator"))
    index = operator.get("/admin/").content.decode()
    for app in ("tenants", "products", "clusters", "gateways", "publishes"):
        for model in apps.get_app_config(app).get_models():
            path = f"/admin/{app}/{model._meta.model_name}/"
            assert path in index, path
            assert operator.get(path).status_code == 200
    change = reverse("admin:publishes_productpublish_change", args=[publish.pk])
    assert operator.get(change).status_code == 200
    assert operator.post(change, {"status": "DRAFT"}).status_code == 403
    publish.refresh_from_db()
    assert publish.status == "PUBLISHED"


def test_health_answers_without_anybody(db: None) -> None:
    assert Client().get("/livez").json() == {"status": "ok"}
    red = Client().get("/readyz")
    assert (red.status_code, red.json()["background"]) == (503, "silent: is one beat and at least one worker running?")
    pulse.beat()
    assert Client().get("/readyz").json() == {"status": "ok", "database": "ok", "background": "ok"}


def test_an_operator_can_remove_an_agent_and_make_a_code_and_move_neither_agent_nor_gateway_class(world: World) -> None:
    operator = signed_in(User.objects.create_superuser("operator"))
    world.published()
    agent = world.agents[0].agent
    made = operator.post("/admin/clusters/agent/", {"action": "make_enrolment_code", "index": 0, "_selected_action": [str(agent.pk)]}, follow=True)
    assert "One-time code for busan-1: ey" in made.content.decode()
    change = operator.get(f"/admin/clusters/agent/{agent.pk}/change/").content.decode()
    assert 'name="cluster"' not in change
    assert 'name="gateway_class"' not in operator.get(f"/admin/gateways/gateway/{world.gateway.pk}/change/").content.decode()
    assert operator.post(f"/admin/clusters/agent/{agent.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not type(agent).objects.filter(pk=agent.pk).exists()


@pytest.mark.parametrize("name", ["execute", "withdraw", "delete", "retry", "cancel"])
def test_nothing_is_done_to_a_publish_under_another_products_url(world: World, browser: Client, other: World, name: str) -> None:
    publish = world.draft()
    assert browser.post(reverse(f"publishes:{name}", args=[nobody_knows(), publish.pk]), {"reason": "x"}).status_code == 404
    assert ProductPublish.objects.filter(pk=publish.pk).exists()
    assert not Operation.objects.exists()


def test_history_quotes_people_as_they_wrote(world: World) -> None:
    publish = world.draft()
    services.request_publish(world.actor, publish.pk, note="OK")
    korean = signed_in(world.user)
    page = korean.get(url("detail", publish), headers={"Accept-Language": "ko"}).content.decode()
    assert "<blockquote>OK</blockquote>" in page


def test_changing_settings_stores_the_hostname_that_was_shown(world: World, browser: Client) -> None:
    publish = world.draft()
    sent = {
        "environment": "prod",
        "auth_mode": "none",
        "visibility": "public",
        "hostname_base": publish.hostname_base,
        "hostname_suggested": publish.hostname_base,
    }
    assert browser.post(url("edit", publish), sent).status_code == 302
    publish.refresh_from_db()
    assert (publish.environment, publish.hostname_base) == ("prod", "payment-api.dev.kr-seoul.localhost")
    outside = sent | {"hostname_base": "evil.example.com", "hostname_suggested": "evil.example.com"}
    assert browser.post(url("edit", publish), outside).status_code == 422
    assert browser.post(url("edit", publish), sent | {"hostname_suggested": "a" * 300}).status_code == 422


def test_a_url_that_only_takes_forms_says_so_on_a_page(world: World, browser: Client) -> None:
    response = browser.get(url("retry", world.draft()))
    assert response.status_code == 405
    assert "This URL does not know this method." in response.content.decode()


def test_a_blocked_agent_whose_word_is_awaited_stands_on_the_board(world: World, browser: Client) -> None:
    publish = world.published()
    for voice in world.agents:
        type(voice.agent).objects.filter(pk=voice.agent.pk).update(blocked_at="2026-01-01T00:00:00Z")
    services.request_withdraw(world.actor, publish.pk, reason="x")
    page = browser.get(url("detail", publish)).content.decode()
    assert page.count(">blocked<") == 2
    assert 'max="2"' in page
