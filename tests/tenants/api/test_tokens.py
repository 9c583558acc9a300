"""API tokens: made by owners and admins, shown once, of their own workspace alone."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tenants.actors import Role
from tenants.models import ApiToken
from tests.api_clients import client_for
from tests.world import World

P = "/api/v1/provider/api-tokens"


@pytest.fixture
def owner(world: World) -> Client:
    return client_for(world, Role.OWNER)


def make(api: Client, **body: Any) -> Any:
    return api.post(P, {"name": "ci", "role": "developer", **body}, content_type="application/json")


def test_a_new_token_works_is_shown_once_and_ends_when_revoked(owner: Client, world: World) -> None:
    answer = make(owner, expires_at="2030-01-31T09:00:00+09:00")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    created = answer.json()
    assert created["token"].startswith(created["prefix"])
    caller = Client(headers={"Authorization": f"Bearer {created['token']}"})
    assert caller.get(f"/api/v1/provider/products/{world.product.pk}/publishes").status_code == 200

    listed = owner.get(P)
    assert created["token"] not in listed.content.decode()
    row = next(row for row in listed.json() if row["id"] == created["id"])
    assert (row["name"], row["role"], row["expires_at"], row["revoked_at"]) == (
        "ci",
        "developer",
        "2030-01-31T00:00:00Z",
        None,
    )
    assert row["last_used_at"]

    assert owner.delete(f"{P}/{created['id']}").status_code == 204
    assert caller.get(f"/api/v1/provider/products/{world.product.pk}/publishes").status_code == 401
    first = owner.get(f"{P}/{created['id']}").json()["revoked_at"]
    assert owner.delete(f"{P}/{created['id']}").status_code == 204
    assert owner.get(f"{P}/{created['id']}").json()["revoked_at"] == first


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.VIEWER, Role.BILLING])
def test_only_owners_and_admins_see_and_make_tokens(world: World, role: Role) -> None:
    api = client_for(world, role)
    token = ApiToken.objects.get()
    assert {
        api.get(P).status_code,
        make(api).status_code,
        api.get(f"{P}/{token.pk}").status_code,
        api.delete(f"{P}/{token.pk}").status_code,
    } == {403}
    assert ApiToken.objects.filter(revoked_at=None).count() == 1


def test_nobody_makes_a_token_above_himself(world: World) -> None:
    assert make(client_for(world, Role.ADMIN), role="owner").status_code == 403
    assert make(client_for(world, Role.ADMIN), role="admin").status_code == 201
    assert make(client_for(world, Role.OWNER), role="owner").status_code == 201


def test_another_tenants_tokens_are_not_there(owner: Client, world: World, other: World) -> None:
    client_for(other)
    theirs = ApiToken.objects.get(tenant=other.tenant)
    assert (owner.get(f"{P}/{theirs.pk}").status_code, owner.delete(f"{P}/{theirs.pk}").status_code) == (
        404,
        404,
    )
    assert str(theirs.pk) not in owner.get(P).content.decode()
    theirs.refresh_from_db()
    assert theirs.revoked_at is None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"role": "king"}, "role"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59Z"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"tenant": "globex"}, "tenant"),
        ({"token_hash": "0"}, "token_hash"),
    ],
)
def test_a_wrong_field_is_named(owner: Client, wrong: dict[str, Any], field: str) -> None:
    refused = make(owner, **wrong)
    assert (refused.status_code, list(refused.json()["fields"])) == (422, [field])
    assert not ApiToken.objects.filter(name="ci").exists()


def test_an_expired_token_is_nobody(world: World, owner: Client) -> None:
    token = make(owner).json()["token"]
    ApiToken.objects.filter(name="ci").update(expires_at=timezone.now() - timedelta(seconds=1))
    assert Client(headers={"Authorization": f"Bearer {token}"}).get(P).status_code == 401
