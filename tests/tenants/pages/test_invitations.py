"""Nobody becomes a member without having agreed, and everybody but the last owner can leave."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tenants.actors import Role
from tenants.models import ApiToken, Invitation, Membership, User
from tenants.people import invitations
from tests.pages import SESSION_AND_USER, html_of, member, signed_in, text_of
from tests.world import World, nobody_knows

MEMBERS, ACCOUNT, LEAVE = reverse("account:members"), reverse("account:index"), reverse("account:leave")


def invite(client: Client, username: str = "guest", role: str = "developer") -> Any:
    return client.post(MEMBERS, {"username": username, "role": role}, follow=True)


def answer(client: Client, invitation: Invitation, verb: str) -> Any:
    return client.post(reverse(f"account:invitation-{verb}", args=[invitation.pk]))


def expire(invitation: Invitation) -> None:
    Invitation.objects.filter(pk=invitation.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def test_who_is_invited_becomes_a_member_by_accepting_alone(world: World, browser: Client) -> None:
    guest = User.objects.create_user("guest")
    assert "guest was invited" in text_of(invite(browser))
    assert not Membership.objects.filter(user=guest).exists()
    invitation = Invitation.objects.get()
    assert (invitation.role, invitation.by) == (Role.DEVELOPER, "acme-owner")
    assert timedelta(days=6, hours=23) < invitation.expires_at - timezone.now() <= timedelta(days=7)
    client = signed_in(guest)
    for page in (client.get(reverse("products:list")), client.get(ACCOUNT)):
        assert "Acme invites you as Developer" in text_of(page)
    assert answer(client, invitation, "accept").headers["Location"] == reverse("home")
    assert Membership.objects.get(user=guest).role == Role.DEVELOPER
    assert not Invitation.objects.exists()
    assert client.get(reverse("products:list")).status_code == 200
    assert "guest" in text_of(browser.get(MEMBERS))


def test_accepting_moves_no_open_session(world: World, other: World, browser: Client) -> None:
    invitation = invitations.invite(other.actor, username=world.user.username, role=Role.OWNER)
    signed = browser.get(reverse("home"), follow=True)
    assert "Globex invites you. Answer under My account." in text_of(signed)
    answer(browser, invitation, "accept")
    assert "<summary><strong>Acme</strong>" in html_of(browser.get(ACCOUNT))


def test_declining_makes_no_member_and_the_owner_may_ask_again(world: World, browser: Client) -> None:
    guest = User.objects.create_user("guest")
    invite(browser)
    answer(signed_in(guest), Invitation.objects.get(), "decline")
    assert (Invitation.objects.exists(), Membership.objects.filter(user=guest).exists()) == (False, False)
    assert "guest was invited" in text_of(invite(browser))


def test_the_owner_sees_who_was_invited_and_takes_it_back(world: World, browser: Client) -> None:
    guest = User.objects.create_user("guest")
    invite(browser)
    invitation = Invitation.objects.get()
    page = browser.get(MEMBERS)
    assert "guest Developer" in text_of(page)
    assert browser.post(reverse("account:invitation-take-back", args=[invitation.pk])).status_code == 302
    assert answer(signed_in(guest), invitation, "accept").status_code == 404
    assert not Membership.objects.filter(user=guest).exists()


def test_an_invitation_ends_after_seven_days(world: World, browser: Client) -> None:
    guest = User.objects.create_user("guest")
    invite(browser)
    invitation = Invitation.objects.get()
    expire(invitation)
    client = signed_in(guest)
    assert "invites you" not in text_of(client.get(ACCOUNT))
    assert answer(client, invitation, "accept").status_code == 404
    assert "guest Developer" not in text_of(browser.get(MEMBERS))
    assert "guest was invited" in text_of(invite(browser, role="viewer"))
    assert Invitation.objects.get().role == Role.VIEWER
    expire(Invitation.objects.get())
    invitations.forget_expired()
    assert not Invitation.objects.exists()


def test_an_invitation_is_its_persons_alone(world: World, other: World, browser: Client) -> None:
    User.objects.create_user("guest")
    invite(browser)
    invitation = Invitation.objects.get()
    stranger = signed_in(other.user)
    for verb in ("accept", "decline", "take-back"):
        assert answer(stranger, invitation, verb).status_code == 404
        assert stranger.post(reverse(f"account:invitation-{verb}", args=[nobody_knows()])).status_code == 404
    assert answer(browser, invitation, "accept").status_code == 404
    assert Invitation.objects.exists()


def test_names_that_are_nobodys_or_in_or_invited_already_are_refused_in_words(
    world: World, browser: Client
) -> None:
    User.objects.create_user("off", is_active=False)
    User.objects.create_user("guest")
    for username, text in (
        ("ghost", "No account has this name."),
        ("off", "No account has this name."),
        (world.user.username, "This person is already a member."),
    ):
        refused = invite(browser, username)
        assert (refused.status_code, text in text_of(refused)) == (422, True)
    invite(browser)
    again = invite(browser)
    assert (again.status_code, "This person is already invited." in text_of(again)) == (422, True)
    assert Invitation.objects.count() == 1


def test_an_admin_invites_no_owner_and_takes_no_owners_invitation_back(world: World, browser: Client) -> None:
    User.objects.create_user("guest")
    admin = signed_in(member(world.tenant, Role.ADMIN))
    assert invite(admin, role="owner").status_code == 403
    invite(browser, role="owner")
    assert (
        admin.post(reverse("account:invitation-take-back", args=[Invitation.objects.get().pk])).status_code
        == 403
    )
    assert Invitation.objects.exists()


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.VIEWER, Role.BILLING])
def test_inviting_is_for_owners_and_admins(world: World, role: Role) -> None:
    User.objects.create_user("guest")
    assert invite(signed_in(member(world.tenant, role))).status_code == 403
    assert not Invitation.objects.exists()


def test_a_hundred_invitations_may_wait_and_no_more(
    world: World, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "MOST", 1)
    User.objects.create_user("guest")
    User.objects.create_user("second")
    invite(browser)
    refused = invite(browser, "second")
    assert (refused.status_code, "Take one back first" in text_of(refused)) == (422, True)


def test_people_leave_with_their_tokens_and_the_last_owner_stays(world: World, browser: Client) -> None:
    guest = member(world.tenant, Role.DEVELOPER)
    token = ApiToken.objects.create(
        tenant=world.tenant, created_by=guest, name="ci", role=Role.DEVELOPER, prefix="impg_", token_hash="x"
    )
    client = signed_in(guest)
    question = text_of(client.get(LEAVE))
    assert "Leave Acme?" in question
    assert "1 API token that you made is revoked too" in question
    assert client.post(LEAVE).headers["Location"] == ACCOUNT
    token.refresh_from_db()
    assert (Membership.objects.filter(user=guest).exists(), token.revoked_at is not None) == (False, True)
    assert client.get(reverse("products:list")).status_code == 403
    refused = browser.post(LEAVE)
    assert (refused.status_code, "This is the only owner." in text_of(refused)) == (409, True)
    assert Membership.objects.filter(user=world.user).exists()


def test_operators_invite_too_as_the_first_owner_of_a_new_workspace(world: World) -> None:
    guest, operator = User.objects.create_user("guest"), signed_in(User.objects.create_superuser("operator"))
    form = {"tenant": str(world.tenant.pk), "user": str(guest.pk), "role": "owner"}
    assert operator.post(reverse("admin:tenants_invitation_add"), form).status_code == 302
    assert Invitation.objects.get().by == "operator"
    refused = operator.post(reverse("admin:tenants_invitation_add"), form | {"user": str(world.user.pk)})
    assert (refused.status_code, "This person is already a member." in text_of(refused)) == (200, True)
    operator.post(
        reverse("admin:tenants_invitation_delete", args=[Invitation.objects.get().pk]), {"post": "yes"}
    )
    assert not Invitation.objects.exists()


@pytest.mark.parametrize("rows", [1, 25])
def test_queries_do_not_grow_with_invitations(
    world: World, browser: Client, rows: int, django_assert_num_queries: Any
) -> None:
    for number in range(rows):
        user = User.objects.create_user(f"u{number}")
        Invitation.objects.create(
            user=user, tenant=world.tenant, role=Role.VIEWER, expires_at=timezone.now() + timedelta(days=1)
        )
    with django_assert_num_queries(SESSION_AND_USER + 2):
        assert len(re.findall(r"/take-back", html_of(browser.get(MEMBERS)))) == rows
