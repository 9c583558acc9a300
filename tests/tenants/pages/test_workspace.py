"""The workspace's pages: members in roles, and API tokens."""

import re
import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from core.problems import Problem
from tenants.actors import Actor, Role
from tenants.models import ApiToken, Membership, User
from tenants.people import members
from tests.pages import SESSION_AND_USER, member, signed_in, text_of
from tests.world import World, nobody_knows

MEMBERS, TOKENS = reverse("account:members"), reverse("account:tokens")


def membership(user: User) -> Membership:
    return Membership.objects.get(user=user)


def role_url(membership: Membership) -> str:
    return reverse("account:member-role", args=[membership.pk])


def remove_url(membership: Membership) -> str:
    return reverse("account:member-remove", args=[membership.pk])


def test_an_owner_changes_the_role_of_people_and_takes_them_out(world: World, browser: Client) -> None:
    guest = member(world.tenant, Role.VIEWER)
    assert guest.username in text_of(browser.get(MEMBERS))
    assert browser.post(role_url(membership(guest)), {"role": "developer"}).status_code == 302
    assert membership(guest).role == Role.DEVELOPER
    assert f"{guest.username} sees nothing of Acme from then on." in text_of(
        browser.get(remove_url(membership(guest)))
    )
    assert browser.post(remove_url(membership(guest))).status_code == 302
    assert not Membership.objects.filter(user=guest).exists()
    assert signed_in(guest).get(reverse("products:list")).status_code == 403


def test_nobody_changes_or_removes_themselves(world: World, browser: Client) -> None:
    own = membership(world.user)
    for answer in (browser.post(role_url(own), {"role": "viewer"}), browser.post(remove_url(own))):
        assert answer.status_code == 409
        assert "You cannot change or remove yourself." in text_of(answer)
    assert membership(world.user).role == Role.OWNER


def test_an_admin_manages_everybody_but_owners(world: World) -> None:
    admin = signed_in(member(world.tenant, Role.ADMIN))
    owner, viewer = membership(world.user), membership(member(world.tenant, Role.VIEWER))
    assert admin.post(role_url(viewer), {"role": "developer"}).status_code == 302
    assert admin.post(role_url(viewer), {"role": "owner"}).status_code == 403
    assert admin.post(role_url(owner), {"role": "viewer"}).status_code == 403
    assert admin.post(remove_url(owner)).status_code == 403
    assert {m.role for m in Membership.objects.filter(tenant=world.tenant)} == {
        Role.OWNER,
        Role.ADMIN,
        Role.DEVELOPER,
    }
    assert 'value="owner"' not in admin.get(MEMBERS).content.decode().partition('id="add"')[0]


def test_the_last_owner_stays(world: World) -> None:
    """Only a program without a person gets here: a person's own membership is refused earlier."""
    machine = Actor(tenant_id=world.tenant.pk, role=Role.OWNER, label="machine")
    with pytest.raises(members.LastOwner):
        members.remove_member(machine, membership(world.user).pk)
    with pytest.raises(members.LastOwner):
        members.change_role(machine, membership(world.user).pk, role=Role.ADMIN)


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_remove_each_other_at_once_leave_one(world: World) -> None:
    second = User.objects.create_user("second")
    Membership.objects.create(user=second, tenant=world.tenant, role=Role.OWNER)
    removals = [
        (world.actor, membership(second)),
        (
            Actor(tenant_id=world.tenant.pk, role=Role.OWNER, label="second", user_id=second.pk),
            membership(world.user),
        ),
    ]
    start, refused = threading.Barrier(2), []

    def remove(actor: Actor, other: Membership) -> None:
        start.wait()
        try:
            members.remove_member(actor, other.pk)
        except Problem as problem:
            refused.append(problem)
        connection.close()

    threads = [threading.Thread(target=remove, args=pair) for pair in removals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert Membership.objects.filter(tenant=world.tenant, role=Role.OWNER).count() == 1


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.VIEWER, Role.BILLING])
def test_members_and_tokens_are_for_owners_and_admins(world: World, role: Role) -> None:
    client, own = signed_in(member(world.tenant, role)), membership(world.user)
    assert [client.get(MEMBERS).status_code, client.get(TOKENS).status_code] == [403, 403]
    assert client.post(MEMBERS, {"username": "x", "role": "viewer"}).status_code == 403
    assert client.post(TOKENS, {"name": "x", "role": "viewer", "days": ""}).status_code == 403
    assert client.post(role_url(own), {"role": "viewer"}).status_code == 403
    assert client.post(remove_url(own)).status_code == 403
    assert not ApiToken.objects.exists()
    assert MEMBERS not in client.get(reverse("account:index")).content.decode()


def test_other_workspaces_members_and_tokens_are_not_there(
    world: World, other: World, browser: Client
) -> None:
    theirs = membership(other.user)
    signed_in(other.user).post(TOKENS, {"name": "theirs", "role": "viewer", "days": "30"})
    token = ApiToken.objects.get()
    assert browser.get(remove_url(theirs)).status_code == 404
    assert browser.post(remove_url(theirs)).status_code == 404
    assert browser.post(role_url(theirs), {"role": "viewer"}).status_code == 404
    assert browser.post(reverse("account:token-revoke", args=[token.pk])).status_code == 404
    assert browser.get(reverse("account:token-revoke", args=[nobody_knows()])).status_code == 404
    assert "theirs" not in text_of(browser.get(TOKENS))
    token.refresh_from_db()
    assert token.revoked_at is None


def test_a_token_is_shown_once_works_and_ends_when_revoked(world: World, browser: Client) -> None:
    answer = browser.post(TOKENS, {"name": "CI", "role": "developer", "days": "30"})
    secret = answer.content.decode().partition('id="new-token">')[2].partition("<")[0]
    assert secret.startswith("impg_")
    assert "no-store" in answer.headers["Cache-Control"]
    program = Client(headers={"Authorization": f"Bearer {secret}"})
    listing = f"/api/v1/provider/products/{world.product.pk}/publishes"
    assert program.get(listing).status_code == 200
    page = browser.get(TOKENS)
    assert secret not in page.content.decode()
    assert f"CI {secret[:10]}… Developer" in text_of(page)
    assert "Last used now" in text_of(page)
    assert browser.post(reverse("account:token-revoke", args=[ApiToken.objects.get().pk])).status_code == 302
    assert program.get(listing).status_code == 401
    assert "revoked" in text_of(browser.get(TOKENS))


def test_a_form_that_is_sent_again_makes_no_second_token(world: World, browser: Client) -> None:
    (form_id,) = re.findall(r'name="id" value="([^"]*)"', browser.get(TOKENS).content.decode())
    form = {"id": form_id, "name": "CI", "role": "viewer", "days": "30"}
    first, again = browser.post(TOKENS, form), browser.post(TOKENS, form)
    assert (first.status_code, 'id="new-token"' in first.content.decode()) == (200, True)
    assert (again.status_code, 'id="new-token"' in again.content.decode()) == (409, False)
    assert "If you did not copy it, revoke it and create a new one." in text_of(again)
    assert ApiToken.objects.count() == 1
    (next_one,) = re.findall(r'name="id" value="([^"]*)"', again.content.decode())
    assert browser.post(TOKENS, form | {"id": next_one}).status_code == 200
    assert browser.post(TOKENS, form | {"id": "nonsense"}).status_code == 422


def test_an_admin_makes_no_owners_token_and_nonsense_makes_none(world: World) -> None:
    admin = signed_in(member(world.tenant, Role.ADMIN))
    refused = admin.post(TOKENS, {"name": "x", "role": "owner", "days": "30"})
    assert (refused.status_code, "An admin cannot create an owner" in text_of(refused)) == (422, True)
    for wrong in ({"name": ""}, {"role": "king"}, {"days": "99999"}, {"name": "a\x00b"}):
        assert admin.post(TOKENS, {"name": "x", "role": "viewer", "days": "30"} | wrong).status_code == 422
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("rows", [1, 25])
def test_queries_do_not_grow_with_members_or_tokens(
    world: World, browser: Client, rows: int, django_assert_num_queries: Any
) -> None:
    for number in range(rows):
        Membership.objects.create(
            user=User.objects.create_user(f"u{number}"), tenant=world.tenant, role=Role.VIEWER
        )
        ApiToken.objects.create(
            tenant=world.tenant, name=f"t{number}", role="viewer", prefix="impg_", token_hash=str(number)
        )
    for path, queries in ((MEMBERS, 2), (TOKENS, 1)):
        with django_assert_num_queries(SESSION_AND_USER + queries, info=path):
            assert len(browser.get(path).content) <= 40_000
