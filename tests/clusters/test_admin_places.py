"""The admin bypasses no rule: the providers' records are read-only, all others go through services."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from clusters.models import Agent, AgentEvent, Cluster
from gateways.models import Gateway
from products.models import Product, Route
from tenants.actors import Role
from tenants.models import ApiToken, Membership, Tenant, User
from tenants.tokens import create_api_token
from tests.pages import member, signed_in, text_of
from tests.world import World


@pytest.fixture
def operator(db: None) -> Client:
    """A superuser's browser."""
    return signed_in(User.objects.create_superuser("operator"))


def change_url(record: Any, page: str = "change") -> str:
    return reverse(f"admin:{record._meta.app_label}_{record._meta.model_name}_{page}", args=[record.pk])


def list_url(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def act(client: Client, record: Any, action: str, **more: str) -> Any:
    return client.post(
        list_url(record),
        {"action": action, "index": 0, "_selected_action": [str(record.pk)], **more},
        follow=True,
    )


def cluster_form(cluster: Cluster, **more: Any) -> dict[str, Any]:
    form = {name: getattr(cluster, name) for name in ("name", "description", "region")}
    rows = {"agents-TOTAL_FORMS": 0, "agents-INITIAL_FORMS": 0}
    return form | {"host_suffixes": "localhost", "upstream_networks": "127.0.0.0/8"} | rows | more


def test_what_is_the_providers_is_to_look_at(world: World, operator: Client) -> None:
    publish = world.published()
    owner, service = Membership.objects.get(user=world.user), world.product.services.first()
    assert service
    route = service.routes.get()
    for record, form in (
        (world.product, {"status": "draft"}),
        (service, {"status": "inactive"}),
        (route, {"path": "/invoices"}),
        (world.gateway, {"status": "inactive"}),
        (owner, {"role": "viewer"}),
        (publish, {"status": "DRAFT"}),
    ):
        assert operator.get(change_url(record)).status_code == 200
        assert operator.post(change_url(record), form).status_code == 403
        assert operator.post(change_url(record, "delete"), {"post": "yes"}).status_code == 403
        act(operator, record, "delete_selected", post="yes")
    for record in (world.product, service, route, world.gateway, owner, publish):
        record.refresh_from_db()
    assert (world.product.status, owner.role, publish.status) == (
        Product.Status.ACTIVE,
        Role.OWNER,
        "PUBLISHED",
    )
    assert Route.objects.filter(service=service).count() == 1


def test_a_member_is_taken_out_with_their_tokens_but_the_last_owner_stays(
    world: World, operator: Client
) -> None:
    guest = member(world.tenant, Role.DEVELOPER)
    token = ApiToken.objects.create(
        tenant=world.tenant, created_by=guest, name="ci", role=Role.DEVELOPER, prefix="impg_", token_hash="x"
    )
    question = act(operator, guest.memberships.get(), "expel")
    assert "Remove these people from their workspace?" in text_of(question)
    assert guest.memberships.exists()
    act(operator, guest.memberships.get(), "expel", confirmed="yes")
    token.refresh_from_db()
    assert (guest.memberships.exists(), token.revoked_at is not None) == (False, True)
    refused = act(operator, world.user.memberships.get(), "expel", confirmed="yes")
    assert "This is the only owner. Make somebody else an owner first." in text_of(refused)
    assert world.user.memberships.exists()


def test_an_owner_whose_account_is_off_is_no_other_owner(world: World, operator: Client) -> None:
    Membership.objects.create(
        user=User.objects.create_user("left", is_active=False), tenant=world.tenant, role=Role.OWNER
    )
    act(operator, world.user.memberships.get(), "expel", confirmed="yes")
    assert world.user.memberships.exists()


def test_the_account_of_an_only_owner_is_not_deleted_and_the_reason_stands_there(
    world: World, operator: Client
) -> None:
    spare = User.objects.create_user("spare")
    refused = operator.post(change_url(world.user, "delete"), {"post": "yes"}, follow=True)
    assert "This person is the only owner of Acme." in text_of(refused)
    selection = {
        "action": "delete_selected",
        "index": 0,
        "post": "yes",
        "_selected_action": [str(spare.pk), str(world.user.pk)],
    }
    refused = operator.post(list_url(User), selection, follow=True)
    assert "This person is the only owner of Acme." in text_of(refused)
    assert User.objects.filter(pk__in=[spare.pk, world.user.pk]).count() == 2
    assert operator.post(change_url(spare, "delete"), {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=spare.pk).exists()


def test_staff_give_no_rights_that_only_superusers_give(world: World) -> None:
    staff = User.objects.create_user("staff", is_staff=True)
    staff.user_permissions.set(
        staff.user_permissions.model.objects.filter(codename__in=["add_user", "change_user", "view_user"])
    )
    client = signed_in(staff)
    form = {
        "username": "guest",
        "time_zone": "Asia/Seoul",
        "is_active": "on",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
    }
    guest = User.objects.create_user("guest")
    assert client.post(change_url(guest), form | {"first_name": "Jiwoo"}).status_code == 302
    own_right = staff.user_permissions.first()
    assert own_right
    for extra_fields in (
        {"is_superuser": "on"},
        {"is_staff": "on"},
        {"user_permissions": [own_right.pk]},
    ):
        refused = client.post(change_url(guest), form | extra_fields)
        assert (refused.status_code, "Only a superuser gives operators" in text_of(refused)) == (200, True)
    refused = client.post(
        change_url(staff), form | {"username": "staff", "is_staff": "on", "is_superuser": "on"}
    )
    assert "Only a superuser gives operators" in text_of(refused)
    guest.refresh_from_db()
    staff.refresh_from_db()
    assert (guest.first_name, guest.is_staff, guest.is_superuser, staff.is_superuser) == (
        "Jiwoo",
        False,
        False,
        False,
    )


def test_an_account_is_made_and_its_password_changed(operator: Client) -> None:
    form = {
        "username": "jiwoo",
        "usable_password": "true",
        "password1": "a-long-secret-1",
        "password2": "a-long-secret-1",
    }
    assert operator.post(reverse("admin:tenants_user_add"), form).status_code == 302
    account = User.objects.get(username="jiwoo")
    assert account.check_password("a-long-secret-1")


def test_operators_say_which_workspaces_may_use_a_cluster(
    world: World, other: World, operator: Client
) -> None:
    page = operator.get(change_url(world.cluster)).content.decode()
    assert f'<option value="{world.tenant.pk}" selected>' in page
    assert f'<option value="{other.tenant.pk}" selected>' not in page
    answer = operator.post(
        change_url(world.cluster), cluster_form(world.cluster, open_to=[str(other.tenant.pk)])
    )
    assert answer.status_code == 302
    assert [tenant.slug for tenant in world.cluster.tenants.all()] == ["globex"]


def test_a_cluster_or_workspace_in_use_is_not_deleted(world: World, operator: Client) -> None:
    spare, tenant = (
        Cluster.objects.create(name="spare", region="kr", host_suffixes=["x"]),
        Tenant.objects.create(name="Spare", slug="spare"),
    )
    for record in (world.cluster, world.tenant):
        operator.post(change_url(record, "delete"), {"post": "yes"})
        assert type(record).objects.filter(pk=record.pk).exists()
    for empty in (spare, tenant):
        assert operator.post(change_url(empty, "delete"), {"post": "yes"}).status_code == 302
        assert not type(empty).objects.filter(pk=empty.pk).exists()


def test_an_agent_is_added_and_removed_and_its_history_tells_it(world: World, operator: Client) -> None:
    form = {
        "cluster": str(world.cluster.pk),
        "name": "busan-3",
        "events-TOTAL_FORMS": 0,
        "events-INITIAL_FORMS": 0,
    }
    assert operator.post(reverse("admin:clusters_agent_add"), form).status_code == 302
    agent = Agent.objects.get(name="busan-3")
    assert operator.post(reverse("admin:clusters_agent_add"), form).status_code == 200
    operator.post(change_url(agent, "delete"), {"post": "yes"})
    assert list(AgentEvent.objects.filter(agent_name="busan-3").order_by("id").values_list("kind", "by")) == [
        ("added", "operator"),
        ("removed", "operator"),
    ]


def test_a_token_is_revoked_and_not_changed(world: World, operator: Client) -> None:
    create_api_token(world.tenant, name="ci", role=Role.DEVELOPER)
    token = ApiToken.objects.get()
    assert operator.post(change_url(token), {"expires_at_0": "2030-01-01"}).status_code == 403
    act(operator, token, "revoke", confirmed="yes")
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_the_class_of_a_gateway_and_its_clusters_are_the_providers(world: World, operator: Client) -> None:
    assert operator.post(reverse("admin:gateways_gateway_add"), {"name": "x"}).status_code == 403
    assert operator.post(change_url(world.gateway), {"gateway_class": "kong"}).status_code == 403
    assert Gateway.objects.get().gateway_class == "envoy"


@pytest.mark.parametrize("action", ["block", "delete_selected"])
def test_hard_actions_ask_first(world: World, operator: Client, action: str) -> None:
    agent = world.agents[0].agent
    question = act(operator, agent, action)
    assert (question.status_code, "busan-1" in text_of(question)) == (200, True)
    agent.refresh_from_db()
    assert agent.blocked_at is None
