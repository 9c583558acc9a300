"""What is said to be allowed is what the services do: one table, held to real rows in every combination."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, product

import pytest
from django.db import transaction
from django.utils import timezone

from clusters.models import Agent, Cluster, ClusterTenant
from core.problems import Problem
from products.models import Product
from publishes.callers import credentials
from publishes.choices import OPEN_PHASES, AuthMode, Kind, Phase, Status
from publishes.engine import allowed, lifecycle
from publishes.engine.allowed import Action
from publishes.models import Operation, ProductPublish
from publishes.reading.detail.snapshot import snapshot_of
from publishes.reading.facts.situation import situation_at, situation_of
from publishes.verbs import cancelling, deleting, drafts, publishing, retrying, withdrawing
from tenants.actors import READERS, Actor, Role
from tests.world import World

PEOPLES = (Kind.PUBLISH, Kind.WITHDRAW, Kind.DELETE)
LAST = [(Kind.HEAL, Phase.SUCCEEDED), *product(PEOPLES, Phase)]
"""What was done last: nothing that a person asked for, or one of their verbs in each phase."""

Service = Callable[[Actor, World, ProductPublish], object]
SERVICES: dict[Action, Service] = {
    Action.EDIT: lambda actor, world, publish: drafts.update_publish(
        actor, publish.pk, settings=world.settings(auth_mode=publish.auth_mode)
    ),
    Action.PUBLISH: lambda actor, _world, publish: publishing.request_publish(actor, publish.pk),
    Action.WITHDRAW: lambda actor, _world, publish: withdrawing.request_withdraw(
        actor, publish.pk, reason="x"
    ),
    Action.DELETE: lambda actor, _world, publish: deleting.request_delete(actor, publish.pk),
    Action.CANCEL: lambda actor, _world, publish: cancelling.cancel(actor, publish.pk),
    Action.RETRY: lambda actor, _world, publish: retrying.retry(actor, publish.pk),
    Action.MAKE_TEST_KEY: lambda actor, _world, publish: credentials.issue_test_key(actor, publish.pk),
    Action.SWITCH_OFF_KEY: lambda actor, _world, publish: credentials.switch_off(actor, publish.pk),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One combination of all that decides."""

    status: Status
    last: tuple[Kind, Phase]
    product: Product.Status
    place: str
    is_frozen: bool

    def put(self, world: World, publish: ProductPublish) -> ProductPublish:
        """Make the rows so."""
        now, (kind, phase) = timezone.now(), self.last
        ProductPublish.objects.filter(pk=publish.pk).update(
            status=self.status, published_at=now, frozen_at=now if self.is_frozen else None
        )
        Operation.objects.filter(publish=publish).update(
            kind=kind, phase=phase, note="x", finished_at=None if phase in OPEN_PHASES else now
        )
        Product.objects.filter(pk=world.product.pk).update(status=self.product)
        Cluster.objects.filter(pk=world.cluster.pk).update(
            maintenance=self.place in {"maintenance", "closed-in-maintenance"},
            host_suffixes=["elsewhere.example" if self.place == "other-hosts" else "localhost"],
        )
        Agent.objects.update(blocked_at=now if self.place == "agents-blocked" else None)
        ClusterTenant.objects.filter(cluster=world.cluster).delete()
        if not self.place.startswith("closed"):
            ClusterTenant.objects.create(cluster=world.cluster, tenant=world.tenant)
        return ProductPublish.objects.select_related("product", "cluster", "gateway").get(pk=publish.pk)


PLACES = ("open", "maintenance", "closed", "closed-in-maintenance", "other-hosts", "agents-blocked")


def cases() -> Iterator[Case]:
    """Every combination, of somebody who may write."""
    for place, products, is_frozen, status, last in product(
        PLACES, Product.Status, (False, True), Status, LAST
    ):
        yield Case(status=status, last=last, product=products, place=place, is_frozen=is_frozen)


def attempt(service: Service, actor: Actor, world: World, publish: ProductPublish) -> Problem | None:
    """Call it for real, and undo it: its refusal, or None."""
    try:
        with transaction.atomic():
            service(actor, world, publish)
            transaction.set_rollback(True)
    except Problem as refusal:
        return refusal
    return None


def compare(world: World, publish: ProductPublish, *, role: Role) -> set[Action]:
    """Hold what is said of each action to what its service does; those that are allowed."""
    actor = Actor(tenant_id=world.tenant.pk, role=role, label="somebody")
    permissions = allowed.permissions(actor, situation_of(publish))
    for action, permission in permissions.items():
        refusal = attempt(SERVICES[action], actor, world, publish)
        service_answer = (refusal.code, str(refusal.detail)) if refusal else ("", "")
        assert (permission.code, str(permission.reason)) == service_answer, action
        assert permission.is_allowed is (refusal is None), action
    if role in READERS:
        for situation in (situation_at(actor, publish.pk), snapshot_of(actor, publish.pk)):
            permissions_again = allowed.permissions(actor, situation)
            assert {name: permission.code for name, permission in permissions_again.items()} == {
                name: permission.code for name, permission in permissions.items()
            }
    return {action for action, permission in permissions.items() if permission.is_allowed}


@pytest.fixture
def publish(world: World) -> ProductPublish:
    """A publish with a key that has one operation."""
    publish = world.published(auth_mode=AuthMode.API_KEY)
    credentials.issue_test_key(world.actor, publish.pk)
    Operation.objects.filter(publish=publish).exclude(kind=Kind.PUBLISH).delete()
    spec = Operation.objects.get(publish=publish)
    ProductPublish.objects.filter(pk=publish.pk).update(
        generation=spec.generation, desired_digest=spec.digest
    )
    publish.refresh_from_db()
    return publish


def walk(world: World, publish: ProductPublish, chosen_cases: Iterable[Case]) -> set[Action]:
    """Hold each of them to what the services do; what was allowed in any."""
    allowed_actions: set[Action] = set()
    for case in chosen_cases:
        try:
            allowed_actions |= compare(world, case.put(world, publish), role=Role.DEVELOPER)
        except AssertionError as difference:
            raise AssertionError(case) from difference
    return allowed_actions


def test_what_is_said_is_what_the_service_does(world: World, publish: ProductPublish) -> None:
    """Each 41st combination: a prime, so that every value of everything comes."""
    assert walk(world, publish, islice(cases(), 0, None, 41)) == set(Action)


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("status", Status)
def test_in_every_combination_what_is_said_is_what_the_service_does(
    world: World, publish: ProductPublish, place: str, status: Status
) -> None:
    assert walk(world, publish, (case for case in cases() if (case.place, case.status) == (place, status)))


AT_REST = Case(
    status=Status.DRAFT,
    last=(Kind.PUBLISH, Phase.FAILED),
    product=Product.Status.ACTIVE,
    place="open",
    is_frozen=False,
)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("status", Status)
def test_a_role_that_may_not_write_is_refused_everything_with_the_same_word(
    world: World, publish: ProductPublish, role: Role, status: Status
) -> None:
    case = Case(**vars(AT_REST) | {"status": status})
    may = compare(world, case.put(world, publish), role=role)
    assert bool(may) is (role in {Role.OWNER, Role.ADMIN, Role.DEVELOPER})


@pytest.mark.parametrize("mode", AuthMode)
@pytest.mark.parametrize("has_key", [False, True])
def test_keys_are_made_in_their_mode_alone_and_switched_off_where_one_is_let_in(
    world: World, publish: ProductPublish, mode: AuthMode, has_key: bool
) -> None:
    ProductPublish.objects.filter(pk=publish.pk).update(auth_mode=mode)
    publish.credentials.update(state="active" if has_key else "off")
    published_case = Case(
        **vars(AT_REST) | {"status": Status.PUBLISHED, "last": (Kind.PUBLISH, Phase.SUCCEEDED)}
    )
    may = compare(world, published_case.put(world, publish), role=Role.DEVELOPER)
    is_asked = mode == AuthMode.API_KEY
    assert (Action.MAKE_TEST_KEY in may, Action.SWITCH_OFF_KEY in may) == (is_asked, is_asked and has_key)


def test_a_draft_that_was_never_sent_is_edited_published_and_deleted(world: World) -> None:
    draft = world.draft()
    assert compare(world, draft, role=Role.OWNER) == {Action.EDIT, Action.PUBLISH, Action.DELETE}


def test_what_only_the_system_sent_is_nobodys_operation(world: World, publish: ProductPublish) -> None:
    """An adopted draft: its open operation is the system's, and keeps nobody from asking."""
    case = Case(**vars(AT_REST) | {"last": (Kind.HEAL, Phase.SENT)})
    case.put(world, publish)
    situation = snapshot_of(world.actor, publish.pk)
    assert situation.operation is None
    assert situation.following is not None
    assert (situation.has_open_request, situation.is_open, situation.has_failed) == (False, True, False)
    may = allowed.permissions(world.actor, situation)
    assert (may[Action.PUBLISH].is_allowed, may[Action.RETRY].code) == (True, "wrong_state")


@pytest.mark.parametrize("status", Status)
def test_the_table_of_actions_allows_the_moves_that_exist(
    world: World, publish: ProductPublish, status: Status
) -> None:
    case = Case(**vars(AT_REST) | {"status": status, "last": (Kind.PUBLISH, Phase.SUCCEEDED)})
    may = allowed.permissions(world.actor, situation_of(case.put(world, publish)))
    for action, to in ((Action.PUBLISH, Status.PUBLISHED), (Action.WITHDRAW, Status.WITHDRAWN)):
        assert may[action].is_allowed is (status in lifecycle._STATUSES_BEFORE[to])


def test_a_situation_is_one_query_and_what_it_allows_is_none(
    world: World,
    publish: ProductPublish,
    django_assert_num_queries: Callable[[int], object],
) -> None:
    draft = world.draft(hostname_base="never.localhost")
    for row in (publish, draft):
        with django_assert_num_queries(1):  # type: ignore[attr-defined]
            situation = situation_of(row)
        with django_assert_num_queries(0):  # type: ignore[attr-defined]
            allowed.permissions(world.actor, situation)
