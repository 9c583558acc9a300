"""Who gets in, and who sees and does what on the pages of a publish."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from publishes.models import Operation, ProductPublish
from tenants.actors import Role
from tenants.models import Membership, User
from tests.pages import member, product_url, signed_in, text_of, url
from tests.world import World, nobody_knows


def test_sign_in_leads_to_the_products_and_a_wrong_password_does_not(world: World) -> None:
    client = Client()
    assert client.get(product_url(world)).headers["Location"].startswith("/sign-in?next=")
    wrong = client.post("/sign-in", {"username": "acme-owner", "password": "nope"})
    assert (
        wrong.status_code,
        "사용자 이름 또는 비밀번호가 올바르지 않습니다." in wrong.content.decode(),
    ) == (200, True)
    right = client.post("/sign-in", {"username": "acme-owner", "password": "acme-secret"})
    assert right.headers["Location"] == reverse("home")
    assert client.get(reverse("home")).headers["Location"] == reverse("products:list")
    assert "Payment API" in client.get(reverse("products:list")).content.decode()


def test_operators_without_a_workspace_begin_in_the_admin_and_with_one_at_its_products(world: World) -> None:
    operator = User.objects.create_superuser("operator", password="operators-secret")
    client = Client(headers={"Accept-Language": "en"})
    signed = client.post("/sign-in", {"username": "operator", "password": "operators-secret"}, follow=True)
    assert (signed.redirect_chain[-1][0], signed.status_code) == ("/admin/", 200)
    page = client.get(reverse("products:list"))
    assert (page.status_code, 'href="/admin/"' in page.content.decode()) == (403, True)
    Membership.objects.create(user=operator, tenant=world.tenant, role=Role.VIEWER)
    assert client.get(reverse("home")).headers["Location"] == reverse("products:list")


@pytest.mark.parametrize("next_page", ["/admin/", "/admin/clusters/agent/"])
def test_who_came_for_a_page_of_the_admin_gets_there(world: World, next_page: str) -> None:
    User.objects.create_superuser("operator", password="operators-secret")
    sign_in = Client().get(next_page, follow=True)
    signed = Client().post(
        sign_in.redirect_chain[-1][0], {"username": "operator", "password": "operators-secret"}
    )
    assert signed.headers["Location"] == next_page


def test_who_belongs_to_no_workspace_reads_whom_to_ask_and_sees_no_links_that_lead_nowhere(db: None) -> None:
    client = signed_in(User.objects.create_user("lonely"))
    page = client.get(reverse("home"), follow=True)
    assert page.status_code == 403
    assert (
        "You have no workspace yet. Ask an owner or admin of a workspace to invite you by your user name. "
        "User name: lonely" in text_of(page)
    )
    for shown in (page, client.get(reverse("account:index"))):
        assert not [
            path
            for path in re.findall(r'<a href="([^"]+)"', shown.content.decode())
            if path.startswith(("/provider", "/admin"))
        ]
    refusal = client.get(reverse("products:list"), headers={"HX-Request": "true"})
    assert (refusal.status_code, "no workspace yet" in refusal.headers["HX-Trigger"]) == (403, True)


def test_ten_wrong_passwords_lock_the_name_and_address_out(world: World) -> None:
    client = Client()
    for _ in range(10):
        client.post("/sign-in", {"username": "acme-owner", "password": "nope"})
    assert client.post("/sign-in", {"username": "acme-owner", "password": "acme-secret"}).status_code == 429


@pytest.mark.parametrize(
    "name",
    [
        "detail",
        "edit",
        "live",
        "agents",
        "history",
        "command",
        "services",
        "execute",
        "withdraw",
        "delete",
        "retry",
        "cancel",
    ],
)
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
    assert (
        "Payment API" in stranger.get(reverse("products:list")).content.decode()
    )  # its own one of that name
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
    operations_before = Operation.objects.count()
    for name in ("execute", "withdraw", "delete", "retry"):
        assert viewer.post(url(name, publish)).status_code == 403
    assert viewer.get(reverse("publishes:create", args=[world.product.pk])).status_code == 403
    assert Operation.objects.count() == operations_before


def test_billing_and_people_without_a_tenant_are_403(world: World) -> None:
    for user in (member(world.tenant, Role.BILLING), User.objects.create_user("nobody")):
        client = signed_in(user)
        assert client.get(reverse("products:list")).status_code == 403


@pytest.mark.parametrize("name", ["execute", "withdraw", "delete", "retry", "cancel"])
def test_nothing_is_done_to_a_publish_under_another_products_url(
    world: World, browser: Client, other: World, name: str
) -> None:
    publish = world.draft()
    assert (
        browser.post(
            reverse(f"publishes:{name}", args=[nobody_knows(), publish.pk]), {"reason": "x"}
        ).status_code
        == 404
    )
    assert ProductPublish.objects.filter(pk=publish.pk).exists()
    assert not Operation.objects.exists()
