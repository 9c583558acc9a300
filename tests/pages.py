"""A person's browser, and the pages of a publish."""

import re
from html import unescape
from typing import Any

from django.test import Client
from django.urls import reverse

from publishes.models import ProductPublish
from tenants.actors import Role
from tenants.models import Membership, Tenant, User
from tenants.workspaces import SESSION_TENANT
from tests.world import World

SCRIPT = {"HX-Request": "true"}
SESSION_AND_USER = 3
"""What each page costs before it begins: the session, the user and the memberships."""


def signed_in(user: User) -> Client:
    """A browser of that person, reading English."""
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    if first := user.memberships.order_by("tenant__name").first():  # as at the sign-in page
        session = client.session
        session[SESSION_TENANT] = str(first.tenant_id)
        session.save()
    return client


def member(tenant: Tenant, role: Role) -> User:
    """Somebody new in that role."""
    user = User.objects.create_user(f"{tenant.slug}-{role}")
    Membership.objects.create(user=user, tenant=tenant, role=role)
    return user


def html_of(response: Any) -> str:
    """The page's HTML with single spaces, and none beside a tag: however its templates are laid out."""
    return re.sub(r"(?<=>) | (?=[<>])", "", re.sub(r"\s+", " ", response.content.decode()))


def text_of(response: Any) -> str:
    """The text of the page, without tags and with single spaces."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def korean(client: Client, path: str) -> str:
    """The text of that page in Korean."""
    return text_of(client.get(path, headers={"Accept-Language": "ko"}))


def url(name: str, publish: ProductPublish) -> str:
    """A page of a publish."""
    return reverse(f"publishes:{name}", args=[publish.product_id, publish.pk])


def product_url(world: World) -> str:
    """The page of the product."""
    return reverse("products:detail", args=[world.product.pk])
