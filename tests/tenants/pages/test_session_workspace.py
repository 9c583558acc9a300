"""The workspace of a session: chosen at sign-in, never changed on its own; forms of others write nothing."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from products.models import Product
from tenants.actors import Role
from tenants.models import Membership, Tenant, User
from tests.pages import SCRIPT, html_of, text_of, url
from tests.world import World

PRODUCTS, NEW = reverse("products:list"), reverse("products:create")


def new_workspace(user: User, name: str, role: Role = Role.OWNER) -> Tenant:
    """One more workspace of that person."""
    tenant = Tenant.objects.create(name=name, slug=name.lower())
    Membership.objects.create(user=user, tenant=tenant, role=role)
    return tenant


def workspace_of(page: str) -> str:
    """Which workspace the frame names."""
    (name,) = re.findall(r"<summary><strong>([^<]*)</strong>", page)
    return str(name)


def switch(client: Client, tenant: Tenant) -> None:
    assert client.post(reverse("account:workspace"), {"tenant": str(tenant.pk)}).status_code == 302


def fields_of(page: str) -> set[str]:
    return set(re.findall(r'<input type="hidden" name="workspace" value="([^"]*)">', page))


def test_a_workspace_that_comes_first_by_name_does_not_move_a_session_that_is_open(world: World) -> None:
    client = Client(headers={"Accept-Language": "en"})
    client.post("/sign-in", {"username": "acme-owner", "password": "acme-secret"})
    new_workspace(world.user, "Aardvark")
    client.post(NEW, {"name": "Mine", "version": "1"})
    assert Product.objects.get(name="Mine").tenant == world.tenant
    assert workspace_of(html_of(client.get(PRODUCTS))) == "Acme"


def test_a_session_that_was_never_asked_keeps_what_it_began_with(world: World) -> None:
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(world.user, "django.contrib.auth.backends.ModelBackend")
    assert workspace_of(html_of(client.get(PRODUCTS))) == "Acme"
    new_workspace(world.user, "Aardvark")
    assert workspace_of(html_of(client.get(PRODUCTS))) == "Acme"


def test_who_was_taken_out_of_the_sessions_workspace_chooses_another_one_and_is_moved_nowhere(
    world: World, browser: Client
) -> None:
    browser.get(PRODUCTS)
    elsewhere = new_workspace(world.user, "Elsewhere")
    Membership.objects.filter(user=world.user, tenant=world.tenant).delete()
    page = browser.get(PRODUCTS)
    assert (page.status_code, "You are no longer a member of this workspace" in text_of(page)) == (403, True)
    assert browser.post(NEW, {"name": "Mine", "version": "1"}).status_code == 403
    assert not Product.objects.filter(name="Mine").exists()
    assert browser.get(reverse("account:index")).status_code == 200
    assert f'name="tenant" value="{elsewhere.pk}"' in html_of(page)
    switch(browser, elsewhere)
    assert workspace_of(html_of(browser.get(PRODUCTS))) == "Elsewhere"


def test_each_form_that_writes_names_its_workspace(world: World, browser: Client) -> None:
    publish = world.published()
    service = world.product.services.first()
    assert service
    pages = [
        NEW,
        reverse("products:edit", args=[world.product.pk]),
        reverse("services:edit", args=[service.pk]),
        reverse("gateways:edit", args=[world.gateway.pk]),
        url("detail", publish),
        url("withdraw", publish),
        reverse("publishes:create-step", args=[world.product.pk, "cluster"]),
        reverse("account:members"),
        reverse("account:tokens"),
        reverse("account:index"),
    ]
    for path in pages:
        page = html_of(browser.get(path))
        forms = re.findall(r'<form[^>]*method="post".*?</form>', page, re.DOTALL)
        assert forms, path
        assert [form[:80] for form in forms if fields_of(form) != {str(world.tenant.pk)}] == [], path


def test_a_form_of_another_workspace_writes_nothing_and_offers_the_way_back(
    world: World, browser: Client
) -> None:
    globex = new_workspace(world.user, "Globex")
    form = {"name": "Mine", "version": "1", "workspace": str(world.tenant.pk)}
    switch(browser, globex)
    refused = browser.post(NEW, form, headers={"Referer": f"http://testserver{NEW}"})
    page_text = text_of(refused)
    assert (
        refused.status_code,
        "This form was of Acme" in page_text,
        "you work in Globex now" in page_text,
    ) == (
        409,
        True,
        True,
    )
    assert not Product.objects.filter(name="Mine").exists()
    page = html_of(refused)
    assert f'name="tenant" value="{world.tenant.pk}"' in page
    back = browser.post(reverse("account:workspace"), {"tenant": str(world.tenant.pk), "next": NEW})
    assert back.headers["Location"] == NEW
    assert browser.post(NEW, form).status_code == 302
    assert Product.objects.get(name="Mine").tenant == world.tenant


def test_a_script_that_sends_another_workspaces_form_puts_the_page_in_place_of_its_own(
    world: World, browser: Client
) -> None:
    publish = world.published()
    switch(browser, new_workspace(world.user, "Globex"))
    answer = browser.post(
        url("withdraw", publish), {"reason": "x", "workspace": str(world.tenant.pk)}, headers=SCRIPT
    )
    assert (answer.status_code, answer.headers["HX-Retarget"], answer.headers["HX-Reswap"]) == (
        409,
        "body",
        "innerHTML",
    )
    assert "This form was of Acme" in text_of(answer)
    publish.refresh_from_db()
    assert publish.desired_state == "live"


@pytest.mark.parametrize("workspace", ["strangers", "nonsense", ""])
def test_a_workspace_that_is_not_ones_own_is_not_named(
    world: World, other: World, browser: Client, workspace: str
) -> None:
    value = str(other.tenant.pk) if workspace == "strangers" else workspace
    refused = browser.post(NEW, {"name": "Mine", "version": "1", "workspace": value})
    assert (refused.status_code, "Globex" in text_of(refused)) == (409, False)
    assert not Product.objects.filter(name="Mine").exists()


def test_switching_leads_to_no_page_outside(world: World, browser: Client) -> None:
    answer = browser.post(
        reverse("account:workspace"), {"tenant": str(world.tenant.pk), "next": "https://evil.example/"}
    )
    assert answer.headers["Location"] == reverse("home")
