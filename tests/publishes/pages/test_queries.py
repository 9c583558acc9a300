"""Queries of forms, dialogs and imports: as many in a large workspace as in a small one."""

from typing import Any

import pytest
from django.urls import reverse

from clusters.models import Cluster
from gateways.models import Gateway
from products.models import ApiService
from tenants.actors import Role
from tenants.models import ApiToken, Membership, User
from tests.documents import LEDGER
from tests.pages import SESSION_AND_USER, signed_in
from tests.world import World, add_service


@pytest.mark.parametrize("rows", [1, 30])
def test_forms_and_questions_cost_the_same_whatever_there_is(
    world: World, rows: int, django_assert_num_queries: Any
) -> None:
    for number in range(rows):
        add_service(world.product, f"Service {number}", f"/s{number}", ["GET"])
        Gateway.objects.create(tenant=world.tenant, name=f"edge-{number}")
        Cluster.objects.create(
            name=f"kr-{number}", region="kr-busan", host_suffixes=["localhost"], open_to_all=True
        )
        token = ApiToken.objects.create(
            tenant=world.tenant, name=f"t{number}", role="viewer", prefix="impg_", token_hash=str(number)
        )
        member = Membership.objects.create(
            user=User.objects.create_user(f"u{number}"), tenant=world.tenant, role=Role.VIEWER
        )
    browser, service = signed_in(world.user), ApiService.objects.get(name="Billing Service")
    budgets = {
        reverse("products:create"): 0,
        f"{reverse('products:create')}?service={service.pk}": 1,
        reverse("products:edit", args=[world.product.pk]): 2,
        reverse("products:deactivate", args=[world.product.pk]): 3,
        reverse("services:create"): 0,
        reverse("services:delete", args=[service.pk]): 1,
        reverse("services:import"): 0,
        reverse("services:reimport", args=[service.pk]): 1,
        reverse("gateways:create"): 1,
        reverse("gateways:delete", args=[world.gateway.pk]): 1,
        reverse("account:member-remove", args=[member.pk]): 2,
        reverse("account:token-revoke", args=[token.pk]): 1,
    }
    for path, budget in budgets.items():
        with django_assert_num_queries(SESSION_AND_USER + budget, info=path):
            assert browser.get(path).status_code == 200
    with django_assert_num_queries(SESSION_AND_USER + 2):
        assert browser.post(reverse("services:import"), {"document": LEDGER}).status_code == 200
