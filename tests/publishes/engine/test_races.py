"""Two at once, with real threads and real transactions: one wins, the other gets a sentence."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from agent.protocol.messages import Outcome
from agent.protocol.spec import Spec
from clusters.errors import EnrolmentRefused
from clusters.services import create_enrolment_code, enrol
from core.problems import Problem
from products.catalogue import api_services, products
from products.models import Product
from publishes import errors, sweeping
from publishes.callers import issuers
from publishes.choices import Phase, Status
from publishes.engine import answers, delivery, outbox, settlement
from publishes.models import Delivery, Issuer, Operation, ProductPublish, PublishEvent
from publishes.verbs import cancelling, deleting, publishing
from tests.agent import issuer as keys
from tests.enrolment import enrol_request
from tests.issuing import IssuerSite
from tests.publishes.callers.test_issuers import believing
from tests.world import World

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(transactional_db: None, world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world outside of any test transaction, with nobody listening to wake-ups."""
    monkeypatch.setattr(outbox, "wake", lambda _agents: None)
    return world


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Run the calls at the same moment, each on a connection of its own.

    A refusal is returned, not raised.
    """
    start = Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        try:
            start.wait(timeout=10)
            return call()
        except Problem as problem:
            return problem
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(timeout=30) for future in [pool.submit(run, call) for call in calls]]


@pytest.mark.parametrize("_round", range(5))
def test_two_clicks_at_once_make_one_operation(world: World, _round: int) -> None:
    publish = world.draft()
    results = at_once(*[lambda: publishing.request_publish(world.actor, publish.pk)] * 4)
    assert sum(isinstance(result, Operation) for result in results) == 1
    assert sum(isinstance(result, errors.AlreadyInProgress) for result in results) == 3
    assert Operation.objects.filter(publish=publish).count() == 1
    assert Delivery.objects.count() == 2


@pytest.mark.parametrize("_round", range(5))
def test_cancelling_while_the_last_agent_confirms_ends_in_one_of_the_two_and_never_in_both(
    world: World, _round: int
) -> None:
    publish = world.draft()
    operation = publishing.request_publish(world.actor, publish.pk)
    world.agents[0].confirm_all()
    (waiting,) = world.agents[1].claim()
    at_once(lambda: cancelling.cancel(world.actor, publish.pk), lambda: world.agents[1].answer(waiting))
    operation.refresh_from_db()
    publish.refresh_from_db()
    ends = {Phase.SUCCEEDED: (Status.PUBLISHED, 1, "live"), Phase.CANCELLED: (Status.DRAFT, 2, "absent")}
    assert (publish.status, publish.generation, publish.desired_state) == ends[Phase(operation.phase)]
    assert PublishEvent.objects.filter(publish=publish, to_status=Status.PUBLISHED).count() == (
        operation.phase == Phase.SUCCEEDED
    )


@pytest.mark.parametrize("_round", range(5))
def test_f15_publish_again_and_delete_at_once_one_wins(world: World, _round: int) -> None:
    publish = world.withdrawn()
    count_before = Operation.objects.count()
    results = at_once(
        lambda: publishing.request_publish(world.actor, publish.pk),
        lambda: deleting.request_delete(world.actor, publish.pk),
    )
    assert sum(isinstance(result, Operation) for result in results) == 1
    (loser,) = [result for result in results if isinstance(result, Problem)]
    assert loser.status == 409
    assert Operation.objects.count() == count_before + 1


@pytest.mark.parametrize("_round", range(5))
def test_two_publishes_that_want_one_host_at_once_one_gets_it(world: World, _round: int) -> None:
    first, second = world.draft(), world.draft()
    results = at_once(
        lambda: publishing.request_publish(world.actor, first.pk),
        lambda: publishing.request_publish(world.actor, second.pk),
    )
    assert sum(isinstance(result, Operation) for result in results) == 1
    assert sum(isinstance(result, errors.HostTaken) for result in results) == 1
    assert ProductPublish.objects.filter(claimed_host__isnull=False).count() == 1


@pytest.mark.parametrize("_round", range(5))
def test_a74_publishing_and_deactivating_the_product_at_once_one_wins(world: World, _round: int) -> None:
    publish = world.draft()
    results = at_once(
        lambda: publishing.request_publish(world.actor, publish.pk),
        lambda: products.deactivate(world.actor, world.product.pk),
    )
    (loser,) = [result for result in results if isinstance(result, Problem)]
    assert loser.code in {"product_not_active", "still_deployed"}
    is_active = Product.objects.get(pk=world.product.pk).status == Product.Status.ACTIVE
    assert Operation.objects.exists() is is_active


@pytest.mark.parametrize("_round", range(5))
def test_all_agents_answering_at_once_make_one_transition(world: World, _round: int) -> None:
    world.add_agent("busan-3")
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    answers = [(voice, waiting) for voice in world.agents for waiting in voice.claim()]
    at_once(
        *[
            lambda voice=voice, waiting=waiting: voice.answer(waiting)
            for voice, waiting in answers
            for _ in range(2)
        ]
    )
    publish.refresh_from_db()
    assert publish.status == Status.PUBLISHED
    assert PublishEvent.objects.filter(kind="published").count() == 1
    assert set(Delivery.objects.values_list("phase", flat=True)) == {Phase.SUCCEEDED}


@pytest.mark.parametrize("_round", range(5))
def test_one_refuses_and_one_confirms_at_once_and_it_ends_failed_and_reverted(
    world: World, _round: int
) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    first, second = world.agents
    (first_delivery,), (second_delivery,) = first.claim(), second.claim()
    at_once(
        lambda: first.answer(first_delivery),
        lambda: second.answer(second_delivery, Outcome.REFUSED, code="rejected", message="no"),
    )
    publish.refresh_from_db()
    assert (publish.status, publish.generation, publish.desired_state) == (Status.DRAFT, 2, "absent")


@pytest.mark.parametrize("_round", range(5))
def test_of_many_workers_one_claims_an_agents_rows(world: World, _round: int) -> None:
    publishing.request_publish(world.actor, world.draft().pk)
    agent = world.agents[0].agent
    claims = at_once(*[lambda: outbox.claim(agent.pk)] * 6)
    (claim,) = [claim for claim in claims if claim is not None]
    assert isinstance(claim, outbox.Claim)
    assert Delivery.objects.get(agent=agent).attempt == 1


def test_while_one_worker_holds_the_lease_new_rows_of_that_agent_wait_and_other_agents_do_not(
    world: World,
) -> None:
    publishing.request_publish(world.actor, world.draft().pk)
    first, second = world.agents
    first_claim = outbox.claim(first.agent.pk)
    assert first_claim is not None
    publishing.request_publish(world.actor, world.draft(hostname_base="two.localhost").pk)
    assert outbox.claim(first.agent.pk) is None
    second_claim = outbox.claim(second.agent.pk)
    assert second_claim is not None
    assert len(second_claim.deliveries) == 2

    outbox.release(first.agent.pk, lease=first_claim.lease)
    next_claim = outbox.claim(first.agent.pk)
    assert next_claim is not None
    assert len(next_claim.deliveries) == 1


def test_a_row_that_is_locked_when_a_worker_comes_for_it_is_sent_once_it_is_free(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    publishing.request_publish(world.actor, world.draft().pk)
    agent = world.agents[0].agent
    locked, looked = Event(), Event()
    claim = outbox.claim

    def watched(agent_id: UUID) -> outbox.Claim | None:
        result = claim(agent_id)
        looked.set()
        return result

    def hold() -> None:
        with transaction.atomic():
            Delivery.objects.select_for_update().get(agent=agent)
            locked.set()
            assert looked.wait(10)

    def work() -> None:
        assert locked.wait(10)
        delivery.deliver(agent.pk)  # nobody listens there, so one attempt is made

    monkeypatch.setattr(outbox, "claim", watched)
    at_once(hold, work)
    assert Delivery.objects.get(agent=agent).attempt == 1


def test_f4_after_the_lease_a_dead_workers_rows_are_due_again(world: World) -> None:
    publishing.request_publish(world.actor, world.draft().pk)
    agent = world.agents[0].agent
    dead_claim = outbox.claim(agent.pk)
    assert dead_claim is not None
    assert outbox.claim(agent.pk) is None
    with connection.cursor() as cursor:
        cursor.execute("UPDATE publishes_agentlease SET until = until - interval '8 seconds'")
        cursor.execute("UPDATE publishes_delivery SET due_at = due_at - interval '8 seconds'")
    next_claim = outbox.claim(agent.pk)
    assert next_claim is not None
    assert next_claim.deliveries[0].token != dead_claim.deliveries[0].token
    assert Delivery.objects.get(agent=agent).attempt == 2

    # The dead worker's lease is gone; giving it back late must not take the new one away.
    outbox.release(agent.pk, lease=dead_claim.lease)
    assert outbox.claim(agent.pk) is None


def test_one_code_makes_one_agent(world: World) -> None:
    code = create_enrolment_code(world.cluster, agent_name="busan-9")
    results = at_once(*[lambda: enrol(enrol_request(code))] * 4)
    assert sum(isinstance(result, EnrolmentRefused) for result in results) == 3


def test_results_and_reports_of_one_publish_do_not_deadlock(world: World) -> None:
    publishing.request_publish(world.actor, world.draft().pk)
    first, second = world.agents
    (first_delivery,), (second_delivery,) = first.claim(), second.claim()
    calls = [lambda: first.answer(first_delivery), lambda: second.answer(second_delivery)]
    calls += [lambda: settlement.settle_by_id(Operation.objects.get().pk)] * 4
    at_once(*calls)
    assert ProductPublish.objects.get().status == Status.PUBLISHED


def test_a_wake_up_that_breaks_never_breaks_the_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_agents: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(outbox, "wake", broken)
    operation = publishing.request_publish(world.actor, world.draft().pk)
    assert Operation.objects.get().pk == operation.pk


def test_what_is_published_is_one_state_of_a_service_and_its_routes(world: World) -> None:
    """A service is changed after it was read, and before its routes are."""
    publish, service = world.draft(), world.product.services.order_by("name").first()
    assert service

    def change(number: int) -> None:
        routes = (api_services.RouteFields(path=f"/v{number}"),)
        fields = api_services.ServiceFields(
            name=service.name,
            status="active",
            upstream_scheme="http",
            upstream_host="127.0.0.1",
            upstream_port=number,
            routes=routes,
        )
        api_services.update_service(world.actor, service.pk, fields=fields)
        connection.close()

    change(8001)
    changing = Thread(target=change, args=(8002,))

    def between(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if 'FROM "products_route"' in sql and connection.in_atomic_block and not changing.ident:
            changing.start()
            changing.join(0.5)
        return execute(sql, *arguments)

    with connection.execute_wrapper(between):
        operation = publishing.request_publish(world.actor, publish.pk)
    changing.join()
    (spec_service,) = [item for item in Spec.model_validate(operation.spec).services if item.id == service.pk]
    assert (spec_service.upstream.port, spec_service.routes[0].path) == (8001, "/v8001")
    service.refresh_from_db()
    assert service.upstream_port == 8002


def test_an_issuer_s_changed_keys_are_noted_for_every_publish_or_not_at_all(
    world: World, issuer_site: IssuerSite
) -> None:
    publishes = [believing(world, issuer_site, hostname_base=f"{name}.localhost") for name in "ab"]
    issuer_site.jwks = {"keys": list(keys.public(keys.rsa("rsa-2")))}
    is_locked, may_go_on = Event(), Event()

    def hold() -> None:
        with transaction.atomic():
            ProductPublish.objects.select_for_update(no_key=True).get(pk=publishes[1].pk)
            is_locked.set()
            may_go_on.wait(timeout=20)
        connection.close()

    holding = Thread(target=hold)
    holding.start()
    is_locked.wait(timeout=10)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
        issuers.refresh_all()
        cursor.execute("RESET lock_timeout")
    may_go_on.set()
    holding.join()
    assert [ProductPublish.objects.filter(sync_wanted=True).count(), Issuer.objects.get().jwks[0]["kid"]] == [
        0,
        "ec-1",
    ]
    issuers.refresh_all()
    sweeping.sweep()
    world.everybody_confirms()
    for publish in publishes:
        assert [key["kid"] for key in Spec.model_validate(world.last_operation(publish).spec).auth.jwks] == [
            "rsa-2"
        ]


def test_silence_and_what_supersedes_lock_deliveries_in_one_order(world: World) -> None:
    """Silence waits for the delivery with the lower id.

    A transaction that supersedes both deliveries, and meets the higher id first, waits too.
    """
    agent = world.agents[0].agent
    publishes = [world.draft(hostname_base=f"{name}.localhost") for name in "ab"]
    for publish in publishes:
        publishing.request_publish(world.actor, publish.pk)
    claimed = outbox.claim(agent.pk)
    assert claimed is not None
    tokens = {waiting.delivery_id: waiting.token for waiting in claimed.deliveries}
    lower = min(tokens)
    Delivery.objects.filter(pk=lower).update(code="")  # now it stands behind the other one in the table
    locked = Event()

    def hold() -> None:
        with transaction.atomic():
            Delivery.objects.select_for_update(no_key=True).get(pk=lower)
            locked.set()
            wait_for_lock_waits(2)

    def fall_silent() -> None:
        assert locked.wait(10)
        answers.record_silence(tokens, message="no answer")

    def supersede() -> None:
        wait_for_lock_waits(1)
        with transaction.atomic():
            outbox.supersede(publishes)

    at_once(hold, fall_silent, supersede)
    phases = Delivery.objects.filter(operation__publish__in=publishes).values_list("phase", flat=True)
    assert set(phases) == {Phase.SUPERSEDED}


def wait_for_lock_waits(number: int) -> None:
    """Return once so many others in the database wait for a lock."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(DISTINCT pid) FROM pg_locks"
                " WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
            )
            if cursor.fetchone()[0] >= number:
                return
        time.sleep(0.02)
    raise AssertionError(number)
