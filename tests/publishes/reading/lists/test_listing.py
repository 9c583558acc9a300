"""Lists of publishes: what each filter lets through, what each condition means, no other tenant's rows."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agent.protocol.messages import Outcome
from clusters.models import Agent, AgentLiveness, ClusterTenant
from core.problems import Forbidden
from gateways.models import Gateway, GatewayCluster
from products.models import Product
from publishes.choices import Condition
from publishes.models import Observation, ProductPublish
from publishes.reading.lists.listing import Filters, conditions_of, counts, matching, with_conditions
from publishes.verbs import deleting, drafts, publishing, retrying, withdrawing
from tenants.actors import Actor, Role
from tests.world import Voice, World, make_world


def hosts(world: World, **filters: Any) -> set[str]:
    return {publish.hostname_base for publish in matching(world.actor, Filters(**filters))}


def conditions(world: World, publish: ProductPublish) -> tuple[Condition, ...]:
    return conditions_of(with_conditions(matching(world.actor, Filters())).get(pk=publish.pk))


def silence(voice: Voice) -> None:
    AgentLiveness.objects.filter(agent=voice.agent).update(last_seen_at=timezone.now() - timedelta(minutes=5))


def test_what_is_live_where_an_agent_is_not_heard_of_is_silent_until_it_is_back(world: World) -> None:
    publish, draft = world.published(), world.draft(hostname_base="b.localhost")
    assert conditions(world, publish) == ()
    silence(world.agents[0])
    assert (conditions(world, publish), conditions(world, draft)) == ((Condition.SILENT,), ())
    assert (hosts(world, condition="silent"), counts(world.actor, Filters())[Condition.SILENT]) == (
        {publish.hostname_base},
        1,
    )
    AgentLiveness.objects.update(last_seen_at=timezone.now(), gateway_ok=False)
    assert conditions(world, publish) == (Condition.SILENT,)
    AgentLiveness.objects.update(gateway_ok=True)
    assert conditions(world, publish) == ()


def test_agents_that_do_not_serve_it_that_never_came_or_are_blocked_make_no_publish_silent(
    world: World,
) -> None:
    publish = world.published()
    world.add_agent("never", connected=False)
    kong, blocked = (world.add_agent(name) for name in ("kong", "blocked"))
    for voice in (kong, blocked):
        silence(voice)
    Agent.objects.filter(pk=kong.agent.pk).update(driver="kong")
    Agent.objects.filter(pk=blocked.agent.pk).update(blocked_at=timezone.now())
    assert conditions(world, publish) == ()


def test_what_is_frozen_is_found_as_such(world: World) -> None:
    publish, _other = world.published(), world.draft(hostname_base="b.localhost")
    ProductPublish.objects.filter(pk=publish.pk).update(frozen_at=timezone.now())
    assert conditions(world, publish) == (Condition.FROZEN,)
    assert (hosts(world, condition="frozen"), counts(world.actor, Filters())[Condition.FROZEN]) == (
        {publish.hostname_base},
        1,
    )


def failed(world: World, **changes: Any) -> ProductPublish:
    publish = world.draft(**changes)
    publishing.request_publish(world.actor, publish.pk)
    (waiting,) = world.agents[0].claim()
    world.agents[0].answer(waiting, Outcome.REFUSED, code="rejected", message="duplicate domain")
    world.everybody_confirms()
    return publish


def test_each_filter_lets_through_what_it_says_and_nothing_else(world: World, other: World) -> None:
    other.published(hostname_base="theirs.localhost")
    world.published(hostname_base="a.localhost", environment="prod")
    world.draft(hostname_base="b.localhost")
    gateway = Gateway.objects.create(tenant=world.tenant, name="west-gateway")
    GatewayCluster.objects.create(gateway=gateway, cluster=world.cluster)
    world.draft(hostname_base="c.localhost", gateway=gateway)
    ledger = Product.objects.create(
        tenant=world.tenant, name="Ledger API", version="1.0", status=Product.Status.ACTIVE
    )
    drafts.create_publish(world.actor, ledger, settings=world.settings(hostname_base="d.localhost"))

    assert hosts(world) == {"a.localhost", "b.localhost", "c.localhost", "d.localhost"}
    assert hosts(world, environment="prod") == {"a.localhost"}
    assert hosts(world, status="DRAFT") == {"b.localhost", "c.localhost", "d.localhost"}
    assert hosts(world, gateway=gateway.pk) == {"c.localhost"}
    assert hosts(world, product=ledger.pk) == {"d.localhost"}
    assert hosts(world, cluster=world.cluster.pk) == {
        "a.localhost",
        "b.localhost",
        "c.localhost",
        "d.localhost",
    }
    assert hosts(world, cluster=other.cluster.pk) == set()
    assert hosts(world, auth_mode="oauth2") == set()
    assert hosts(world, text="ledger") == {"d.localhost"}
    assert hosts(world, text="WEST") == {"c.localhost"}
    assert hosts(world, text="b.local") == {"b.localhost"}
    assert hosts(world, text="%") == set()
    assert hosts(world, text="payment", status="PUBLISHED", environment="prod") == {"a.localhost"}


def test_tombstones_are_in_no_list(world: World) -> None:
    publish = world.withdrawn()
    deleting.request_delete(world.actor, publish.pk)
    world.everybody_confirms()
    assert hosts(world) == set()
    assert set(counts(world.actor, Filters()).values()) == {0}


def test_billing_sees_no_list(world: World) -> None:
    with pytest.raises(Forbidden):
        matching(Actor(tenant_id=world.tenant.pk, role=Role.BILLING, label="x"), Filters())


def test_what_a_url_says_wrongly_filters_nothing() -> None:
    parameters = {
        "environment": "moon",
        "status": "draft",
        "condition": "x",
        "product": "1",
        "cluster": "",
        "text": " a\x00b ",
        "page": "2",
    }
    assert Filters.parse(parameters) == Filters(text="ab")
    assert Filters.parse({"text": "x" * 300}).text == "x" * 100


def test_filters_survive_a_url(world: World) -> None:
    whole = Filters(
        text="pay",
        environment="dev",
        status="DRAFT",
        condition="drift",
        auth_mode="none",
        product=world.product.pk,
        cluster=world.cluster.pk,
        gateway=world.gateway.pk,
    )
    assert Filters.parse(whole.as_query) == whole
    assert whole.without("condition", "text").as_query.keys() == {
        "environment",
        "status",
        "auth_mode",
        "product",
        "cluster",
        "gateway",
    }


def test_at_rest_a_publish_is_in_no_condition(world: World) -> None:
    for publish in (
        world.draft(),
        world.published(hostname_base="a.localhost"),
        world.withdrawn(hostname_base="b.localhost"),
    ):
        assert conditions(world, publish) == ()


def test_in_progress_until_it_is_decided(world: World) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    assert conditions(world, publish) == (Condition.IN_PROGRESS,)
    world.everybody_confirms()
    assert conditions(world, publish) == ()


def test_failed_until_something_newer_was_asked_for(world: World) -> None:
    publish = failed(world)
    assert conditions(world, publish) == (Condition.FAILED,)
    retrying.retry(world.actor, publish.pk)
    assert conditions(world, publish) == (Condition.IN_PROGRESS,)
    world.everybody_confirms()
    assert conditions(world, publish) == ()


def test_an_agent_that_carries_something_else_is_drift_and_a_blocked_one_is_not(world: World) -> None:
    publish = world.published()
    observations = Observation.objects.filter(publish=publish, agent=world.agents[0].agent)
    for wrong in ({"generation": 7}, {"digest": "other"}, {"state": "withdrawn"}, {"verified": False}):
        right = observations.values(*wrong)[0]
        observations.update(**wrong)
        assert conditions(world, publish) == (Condition.DRIFT,), wrong
        observations.update(**right)
    assert conditions(world, publish) == ()
    observations.update(verified=False)
    Agent.objects.filter(pk=world.agents[0].agent.pk).update(blocked_at=timezone.now())
    assert conditions(world, publish) == ()


def test_an_agent_that_is_away_is_waited_for_and_is_no_drift(world: World) -> None:
    publish = world.published()
    silence(world.agents[1])
    assert conditions(world, publish) == (Condition.SILENT,)  # it has nothing to do
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    world.agents[0].confirm_all()
    assert conditions(world, publish) == (Condition.WAITING,)
    AgentLiveness.objects.update(last_seen_at=timezone.now(), gateway_ok=False)
    assert conditions(world, publish) == (Condition.WAITING,)
    world.agents[1].confirm_all()
    assert conditions(world, publish) == ()


def test_an_agent_that_was_never_connected_is_waited_for(world: World) -> None:
    world.add_agent("seoul-1", connected=False)
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    for voice in world.agents[:2]:
        voice.confirm_all()
    assert conditions(world, publish) == (Condition.WAITING,)
    assert hosts(world, status="PUBLISHED", condition="waiting") == {publish.hostname_base}


def test_counts_say_how_many_are_in_each_condition_within_the_other_filters(
    world: World, other: World
) -> None:
    failed(other)
    failed(world, hostname_base="a.localhost", environment="prod")
    failed(world, hostname_base="b.localhost")
    drifting = world.published(hostname_base="c.localhost")
    Observation.objects.filter(publish=drifting).update(verified=False)
    publishing.request_publish(world.actor, world.draft(hostname_base="d.localhost").pk)

    nothing = {"silent": 0, "frozen": 0}
    assert (
        counts(world.actor, Filters()) == {"in_progress": 1, "failed": 2, "drift": 1, "waiting": 0} | nothing
    )
    assert (
        counts(world.actor, Filters(environment="prod", condition="drift"))
        == {"in_progress": 0, "failed": 1, "drift": 0, "waiting": 0} | nothing
    )
    for condition, number in counts(world.actor, Filters()).items():
        assert len(hosts(world, condition=condition)) == number


@pytest.mark.parametrize("rows", [1, 50])
def test_a_list_and_its_counts_are_one_query_each(
    world: World, rows: int, django_assert_num_queries: Any
) -> None:
    for number in range(rows - 1):
        world.draft(hostname_base=f"n{number}.localhost")
    world.published(hostname_base="n.localhost")
    with django_assert_num_queries(1):
        listed = list(
            with_conditions(matching(world.actor, Filters(text="payment"))).select_related(
                "product", "cluster", "gateway"
            )
        )
        assert [conditions_of(publish) for publish in listed] == [()] * rows
    with django_assert_num_queries(1):
        counts(world.actor, Filters())


def test_lists_of_two_tenants_on_one_cluster_do_not_mix(world: World) -> None:
    neighbour = make_world("initech")
    GatewayCluster.objects.create(gateway=neighbour.gateway, cluster=world.cluster)
    ClusterTenant.objects.create(cluster=world.cluster, tenant=neighbour.tenant)
    world.draft(hostname_base="mine.localhost")
    neighbour.draft(hostname_base="theirs.localhost", cluster=world.cluster)
    assert hosts(world, cluster=world.cluster.pk) == {"mine.localhost"}
