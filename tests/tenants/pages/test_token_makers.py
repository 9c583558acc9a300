"""API tokens and their makers: pages name the maker, and a token ends with its maker's membership."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tenants.actors import Role
from tenants.models import ApiToken, Invitation, Membership, User
from tests.pages import member, signed_in, text_of
from tests.world import World

TOKENS, API = reverse("account:tokens"), "/api/v1/provider/api-tokens"


def program(secret: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {secret}"})


def made_by(person: User, name: str = "CI", role: Role = Role.ADMIN) -> str:
    """A token that this person makes on the page."""
    page = signed_in(person).post(TOKENS, {"name": name, "role": role, "days": ""}).content.decode()
    return page.partition('id="new-token">')[2].partition("<")[0]


def works(secret: str) -> bool:
    status = program(secret).get(API).status_code
    assert status in {200, 401}
    return status == 200


@pytest.fixture
def admin(world: World) -> User:
    return member(world.tenant, Role.ADMIN)


def remove_url(person: User) -> str:
    return reverse("account:member-remove", args=[Membership.objects.get(user=person).pk])


def test_page_api_and_admin_say_who_made_a_token(world: World, browser: Client, admin: User) -> None:
    made_by(admin)
    assert "Made by acme-admin" in text_of(browser.get(TOKENS))
    (token,) = browser.get(API).json()
    assert token["created_by"] == "acme-admin"
    assert browser.get(f"{API}/{token['id']}").json()["created_by"] == "acme-admin"
    operator = signed_in(User.objects.create_superuser("operator"))
    assert "acme-admin" in text_of(operator.get("/admin/tenants/apitoken/"))


def test_a_member_s_tokens_end_with_the_membership_and_the_question_says_how_many(
    world: World, browser: Client, admin: User
) -> None:
    other = User.objects.create_user("acme-other")
    Membership.objects.create(user=other, tenant=world.tenant, role=Role.ADMIN)
    secrets, own = (
        [made_by(admin), made_by(admin, "Nightly"), made_by(admin, "Old")],
        made_by(world.user, "Own"),
    )
    ApiToken.objects.filter(name="Old").update(revoked_at="2026-01-01T00:00Z")
    assert "2 API tokens that this person made are revoked too" in text_of(browser.get(remove_url(admin)))
    assert "this person made" not in text_of(browser.get(remove_url(other)))
    assert browser.post(remove_url(admin)).status_code == 302
    assert [works(secret) for secret in (*secrets, own)] == [False, False, False, True]
    Membership.objects.create(user=admin, tenant=world.tenant, role=Role.ADMIN)
    assert not works(secrets[0])


def test_what_a_token_makes_is_its_maker_s_too(world: World, browser: Client, admin: User) -> None:
    created = (
        program(made_by(admin))
        .post(API, {"name": "child", "role": "viewer"}, content_type="application/json")
        .json()
    )
    assert created["created_by"] == "acme-admin"
    browser.post(remove_url(admin))
    assert ApiToken.objects.filter(revoked_at=None).count() == 0


@pytest.mark.parametrize("removed_by", ["membership", "active", "account"])
def test_whom_operators_take_out_has_no_token_that_works(
    world: World, browser: Client, admin: User, removed_by: str
) -> None:
    secret = made_by(admin)
    assert works(secret)
    if removed_by == "membership":
        Membership.objects.filter(user=admin).delete()
    elif removed_by == "active":
        User.objects.filter(pk=admin.pk).update(is_active=False)
    else:
        admin.delete()
    assert not works(secret)
    assert ("its maker is gone" in text_of(browser.get(TOKENS))) is (removed_by != "account")


def test_a_membership_elsewhere_does_not_count(world: World, other: World, admin: User) -> None:
    secret = made_by(admin)
    Membership.objects.filter(user=admin).update(tenant=other.tenant)
    assert not works(secret)


def test_who_made_ended_or_changed_what_stands_in_the_log_without_secrets(
    world: World, browser: Client, admin: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    person = User.objects.create_user("guest")
    browser.post(reverse("account:members"), {"username": "guest", "role": "viewer"})
    signed_in(person).post(reverse("account:invitation-accept", args=[Invitation.objects.get().pk]))
    guest = Membership.objects.get(user__username="guest")
    browser.post(reverse("account:member-role", args=[guest.pk]), {"role": "developer"})
    secret = made_by(world.user, "Own")
    browser.post(reverse("account:token-revoke", args=[ApiToken.objects.get().pk]))
    made_by(admin)
    browser.post(remove_url(admin))
    logged: list[Any] = [
        record.msg
        for record in caplog.records
        if isinstance(record.msg, dict) and record.name.startswith("tenants.")
    ]
    assert [(line["event"], line["by"]) for line in logged] == [
        ("member_invited", "acme-owner"),
        ("member_joined", "guest"),
        ("member_role_changed", "acme-owner"),
        ("api_token_made", "acme-owner"),
        ("api_token_revoked", "acme-owner"),
        ("api_token_made", "acme-admin"),
        ("member_removed", "acme-owner"),
    ]
    assert {line["tenant"] for line in logged} == {str(world.tenant.pk)}
    assert (logged[2]["member"], logged[2]["role"], logged[-1]["member"], logged[-1]["tokens_revoked"]) == (
        "guest",
        "developer",
        "acme-admin",
        1,
    )
    assert secret not in caplog.text


def test_a_token_may_do_no_more_than_its_maker_may_now(world: World, admin: User) -> None:
    secret = made_by(admin)
    Membership.objects.filter(user=admin).update(role=Role.VIEWER)
    assert program(secret).get(API).status_code == 403
    products = program(secret).get("/api/v1/provider/products")
    assert products.status_code == 200
    Membership.objects.filter(user=admin).update(role=Role.OWNER)
    assert works(secret)
    assert program(secret).post(
        API, {"name": "child", "role": "owner"}, content_type="application/json"
    ).status_code in {403, 422}
