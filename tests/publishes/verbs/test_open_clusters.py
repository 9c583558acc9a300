"""Operators say which tenants may use a cluster; no other tenant's gateway or publish gets in."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from clusters.models import Cluster, ClusterTenant
from core.problems import Invalid
from gateways import services as gateway_services
from gateways.models import Gateway, GatewayCluster
from gateways.services import GatewayFields, ListenerFields
from publishes import errors
from publishes.choices import Status
from publishes.models import ProductPublish
from publishes.verbs import deleting, drafts, publishing, withdrawing
from tenants.actors import Role
from tenants.tokens import create_api_token
from tests.pages import html_of, signed_in, text_of, url
from tests.world import World


def gateway_fields(*clusters: Cluster) -> GatewayFields:
    ids = frozenset(cluster.pk for cluster in clusters)
    port = ListenerFields(port=8080, protocol="HTTP")
    return GatewayFields(
        name="mine", gateway_class="envoy", status="active", listeners=(port,), cluster_ids=ids
    )


def close(world: World) -> None:
    ClusterTenant.objects.filter(cluster=world.cluster, tenant=world.tenant).delete()


def token(world: World) -> Client:
    return Client(
        headers={"Authorization": f"Bearer {create_api_token(world.tenant, name='x', role=Role.OWNER)}"}
    )


def test_a_gateway_stands_only_where_operators_let_its_tenant(world: World, other: World) -> None:
    with pytest.raises(Invalid) as refused:
        gateway_services.create_gateway(world.actor, fields=gateway_fields(other.cluster))
    assert list(refused.value.fields) == ["clusters"]
    assert not Gateway.objects.filter(name="mine").exists()
    gateway = gateway_services.create_gateway(world.actor, fields=gateway_fields(world.cluster))
    with pytest.raises(Invalid):
        gateway_services.update_gateway(
            world.actor, gateway.pk, fields=gateway_fields(world.cluster, other.cluster)
        )
    Cluster.objects.filter(pk=other.cluster.pk).update(open_to_all=True)
    gateway_services.update_gateway(
        world.actor, gateway.pk, fields=gateway_fields(world.cluster, other.cluster)
    )
    assert gateway.places.count() == 2


def test_a_gateway_that_stands_in_a_cluster_that_was_closed_can_be_changed_and_stay(world: World) -> None:
    close(world)
    page = html_of(signed_in(world.user).get(reverse("gateways:edit", args=[world.gateway.pk])))
    assert (f'value="{world.cluster.pk}" checked' in page, "closed to your workspace" in page) == (True, True)
    gateway_services.update_gateway(world.actor, world.gateway.pk, fields=gateway_fields(world.cluster))
    assert GatewayCluster.objects.get(gateway=world.gateway).cluster == world.cluster


def test_anothers_cluster_is_not_there(world: World, other: World) -> None:
    browser, program = signed_in(world.user), token(world)
    for name in ("clusters:detail", "clusters:detail-live"):
        assert browser.get(reverse(name, args=[other.cluster.pk])).status_code == 404
    for page in (
        reverse("clusters:list"),
        reverse("gateways:create"),
        reverse("publishes:create-step", args=[world.product.pk, "cluster"]),
    ):
        shown = text_of(browser.get(page))
        assert (world.cluster.name in shown, other.cluster.name in shown) == (True, False)
    assert [row["name"] for row in program.get("/api/v1/operator/clusters").json()] == [world.cluster.name]


def test_a_program_neither_chooses_anothers_cluster_nor_learns_that_it_is_there(
    world: World, other: World
) -> None:
    program = token(world)
    answers = []
    for cluster_id in (other.cluster.pk, world.product.pk):
        gateway: dict[str, Any] = {
            "name": "mine",
            "listeners": [{"port": 80, "protocol": "HTTP"}],
            "clusters": [str(cluster_id)],
        }
        created = program.post("/api/v1/provider/gateways", gateway, content_type="application/json")
        draft = {"cluster_id": str(cluster_id), "gateway_id": str(world.gateway.pk)}
        drafted = program.post(
            f"/api/v1/provider/products/{world.product.pk}/publishes", draft, content_type="application/json"
        )
        answers.append([(answer.status_code, answer.json()) for answer in (created, drafted)])
    assert answers[0] == answers[1]
    assert [status for status, _body in answers[0]] == [422, 422]


def test_what_is_live_in_a_cluster_that_was_closed_stays_and_is_not_published_anew(world: World) -> None:
    publish = world.published()
    close(world)
    publish.refresh_from_db()
    assert publish.status == Status.PUBLISHED
    browser = signed_in(world.user)
    assert browser.get(reverse("clusters:detail", args=[world.cluster.pk])).status_code == 200
    assert "closed this cluster to your workspace" in text_of(browser.get(url("detail", publish)))
    withdrawing.request_withdraw(world.actor, publish.pk, reason="moving")
    world.everybody_confirms()
    with pytest.raises(errors.ClusterClosed):
        publishing.request_publish(world.actor, publish.pk)
    page = text_of(browser.get(url("detail", publish)))
    assert ("closed this cluster to your workspace" in page, "Publish again" in page) == (True, False)
    assert browser.post(url("execute", publish)).status_code == 409
    deleting.request_delete(world.actor, publish.pk)
    world.everybody_confirms()
    assert browser.get(reverse("clusters:detail", args=[world.cluster.pk])).status_code == 404


def test_no_draft_is_made_or_moved_into_a_cluster_that_is_closed(world: World) -> None:
    draft = world.draft()
    close(world)
    with pytest.raises(errors.ClusterClosed):
        world.draft(hostname_base="second.dev.kr-seoul.localhost")
    drafts.update_publish(world.actor, draft.pk, settings=world.settings(visibility="private"))
    assert ProductPublish.objects.get().visibility == "private"
    browser = signed_in(world.user)
    steps = browser.get(reverse("publishes:create-step", args=[world.product.pk, "cluster"]))
    assert world.cluster.name not in text_of(steps)
