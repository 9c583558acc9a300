"""Who may do what with publishes by the JSON API: roles, other tenants, tokens and sessions."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from publishes.models import Operation
from tenants.actors import Role
from tenants.models import ApiToken, Membership, User
from tenants.tokens import create_api_token
from tests.api_clients import client_for
from tests.world import World, nobody_knows

P = "/api/v1/provider"


ENDPOINTS = [
    ("GET", "/products/{product}/publishes"),
    ("POST", "/products/{product}/publishes"),
    ("GET", "/product-publishes/{publish}"),
    ("PUT", "/product-publishes/{publish}"),
    ("DELETE", "/product-publishes/{publish}"),
    ("POST", "/product-publishes/{publish}/publish"),
    ("POST", "/product-publishes/{publish}/withdraw"),
    ("GET", "/product-publishes/{publish}/events"),
    ("GET", "/operations/{operation}"),
]


def ask(client: Client, method: str, path: str) -> Any:
    return client.generic(
        method, P + path, data=b"{}" if method in {"POST", "PUT"} else b"", content_type="application/json"
    )


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a24_nobody_is_401_and_another_tenants_or_unknown_things_are_404(
    world: World, stranger: Client, api: Client, endpoint: tuple[str, str]
) -> None:
    method, path = endpoint
    publish = world.published()
    real = path.format(
        product=world.product.pk, publish=publish.pk, operation=world.last_operation(publish).pk
    )
    unknown = path.format(product=nobody_knows(), publish=nobody_knows(), operation=nobody_knows())

    nobody = ask(Client(), method, real)
    assert (nobody.status_code, nobody.json()["code"], nobody.headers["WWW-Authenticate"]) == (
        401,
        "unauthenticated",
        "Bearer",
    )
    foreign, missing = ask(stranger, method, real), ask(api, method, unknown)
    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert foreign.json() == missing.json()
    publish.refresh_from_db()
    assert (publish.status, Operation.objects.count()) == ("PUBLISHED", 1)


@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for method, path in ENDPOINTS if method != "GET"]
)
def test_a_viewer_reads_and_is_403_for_writing(world: World, viewer: Client, method: str, path: str) -> None:
    publish = world.withdrawn()
    operations_before = Operation.objects.count()
    response = ask(viewer, method, path.format(product=world.product.pk, publish=publish.pk))
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert Operation.objects.count() == operations_before
    assert ask(viewer, "GET", f"/product-publishes/{publish.pk}").status_code == 200


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_billing_sees_nothing_here(world: World, method: str, path: str) -> None:
    publish = world.published()
    real = path.format(
        product=world.product.pk, publish=publish.pk, operation=world.last_operation(publish).pk
    )
    assert ask(client_for(world, Role.BILLING), method, real).status_code == 403


@pytest.mark.parametrize(
    "change", [{"revoked_at": timezone.now()}, {"expires_at": timezone.now() - timedelta(seconds=1)}]
)
def test_a_revoked_or_expired_token_is_nobody(world: World, change: dict[str, Any]) -> None:
    token = create_api_token(world.tenant, name="t", role=Role.OWNER)
    caller = Client(headers={"Authorization": f"Bearer {token}"})
    assert caller.get(f"{P}/products/{world.product.pk}/publishes").status_code == 200
    ApiToken.objects.update(**change)
    assert caller.get(f"{P}/products/{world.product.pk}/publishes").status_code == 401


def test_a_token_is_kept_as_a_hash_alone(world: World) -> None:
    token = create_api_token(world.tenant, name="t", role=Role.OWNER)
    row = ApiToken.objects.values().get()
    assert token not in str(row)
    assert token.startswith(row["prefix"])


def test_a_signed_in_browser_may_call_with_its_csrf_token_and_not_without(world: World) -> None:
    publish = world.draft()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(world.user, "django.contrib.auth.backends.ModelBackend")
    assert browser.get(f"{P}/product-publishes/{publish.pk}").status_code == 200
    refused = browser.post(f"{P}/product-publishes/{publish.pk}/publish", content_type="application/json")
    assert (refused.status_code, refused.headers["Content-Type"]) == (403, "application/problem+json")
    assert not Operation.objects.exists()

    browser.get("/sign-in")
    browser.get(f"/provider/products/{world.product.pk}")
    token = browser.cookies["csrftoken"].value
    accepted = browser.post(
        f"{P}/product-publishes/{publish.pk}/publish",
        content_type="application/json",
        headers={"X-CSRFToken": token},
    )
    assert accepted.status_code == 202


def test_somebody_without_a_tenant_is_403(world: World) -> None:
    Membership.objects.all().delete()
    browser = Client()
    browser.force_login(User.objects.get(), "django.contrib.auth.backends.ModelBackend")
    assert browser.get(f"{P}/products/{world.product.pk}/publishes").status_code == 403
