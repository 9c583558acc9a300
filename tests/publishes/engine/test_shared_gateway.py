"""Two agents on one gateway: the agent that is behind leaves newer generations alone, and asks the control
plane.
"""

from pathlib import Path

import pytest

from agent.protocol.messages import Outcome, Result
from agent.protocol.spec import Spec, State
from agent.work import batch
from agent.work.state import erase
from publishes.models import Operation, ProductPublish
from publishes.verbs import deleting, publishing, withdrawing
from tests.program import Program, desired_states
from tests.world import World


@pytest.fixture
def pair(world: World, tmp_path: Path) -> tuple[Program, Program]:
    """Both agents of the cluster, over one gateway."""
    first = Program(world.agents[0], tmp_path / "one")
    return first, Program(world.agents[1], tmp_path / "two", first.gateway)


def publish_live(world: World, pair: tuple[Program, Program], host: str) -> ProductPublish:
    publish = world.draft(hostname_base=host)
    publishing.request_publish(world.actor, publish.pk)
    for program in pair:
        program.beat()
    return publish


def apply(program: Program, *specs: Spec) -> dict[object, Result]:
    results: list[Result] = []
    batch.run(program.kit, specs, networks=("127.0.0.0/8",), finish=results.append)
    return {result.publish_id: result for result in results}


def spec_of(publish: ProductPublish, generation: int) -> Spec:
    return Spec.model_validate(Operation.objects.get(publish=publish, generation=generation).spec)


def test_the_second_agent_confirms_what_the_first_has_written_and_writes_nothing(
    world: World, pair: tuple[Program, Program]
) -> None:
    publish = publish_live(world, pair, "a.localhost")
    assert pair[0].gateway.changes == [{publish.pk}]
    assert pair[0].serves() == desired_states()


def test_a_change_of_one_publish_never_brings_back_what_the_other_agent_has_withdrawn_or_removed(
    world: World, pair: tuple[Program, Program]
) -> None:
    ahead, behind = pair
    withdrawn, removed, third = (publish_live(world, pair, f"{name}.localhost") for name in "abc")
    withdrawing.request_withdraw(world.actor, withdrawn.pk, reason="x")
    withdrawing.request_withdraw(world.actor, removed.pk, reason="x")
    ahead.beat()
    absent = Spec(publish_id=removed.pk, generation=3, state=State.ABSENT)
    assert apply(ahead, absent)[removed.pk].outcome is Outcome.VERIFIED

    newer = spec_of(third, 1).model_copy(update={"generation": 2})
    assert apply(behind, newer)[third.pk].outcome is Outcome.VERIFIED
    assert behind.serves() == {withdrawn.pk: (2, "withdrawn"), third.pk: (2, "live")}
    batch.repin(behind.kit, {third.pk: {"127.0.0.1:8081": ("127.0.0.2",)}})
    assert behind.serves() == {withdrawn.pk: (2, "withdrawn"), third.pk: (2, "live")}


def test_an_older_generation_is_refused_as_stale_with_the_gateways_own(
    world: World, pair: tuple[Program, Program]
) -> None:
    ahead, behind = pair
    publish = publish_live(world, pair, "a.localhost")
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    ahead.beat()
    late = spec_of(publish, 1)
    answer = apply(behind, late)[publish.pk]
    assert (answer.outcome, answer.highest_generation) == (Outcome.STALE, 2)
    assert behind.serves() == {publish.pk: (2, "withdrawn")}


def test_an_agent_without_its_disk_serves_a_removed_publish_again_only_until_its_heartbeat(
    world: World, pair: tuple[Program, Program]
) -> None:
    publish = publish_live(world, pair, "a.localhost")
    late = spec_of(publish, 1)
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    for program in pair:
        program.beat()
    deleting.request_delete(world.actor, publish.pk)
    for program in pair:
        program.beat()
    _first, second = pair
    assert apply(second, late)[publish.pk].outcome is Outcome.STALE
    erase(second.folder)
    second.start()
    assert apply(second, late)[publish.pk].outcome is Outcome.VERIFIED
    assert second.serves() == {publish.pk: (1, "live")}
    second.beat()
    assert second.serves() == {}


def test_whoever_is_behind_says_so_and_catches_up_by_asking(
    world: World, pair: tuple[Program, Program]
) -> None:
    ahead, behind = pair
    publish = publish_live(world, pair, "a.localhost")
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    ahead.beat()
    writes = len(ahead.gateway.changes)
    assert behind.beat().report is True
    assert behind.beat().report is False
    assert len(ahead.gateway.changes) == writes
    publish.refresh_from_db()
    assert (publish.status, behind.serves()) == ("WITHDRAWN", desired_states())


def test_a_gateway_that_cannot_be_read_is_not_written_to(world: World, pair: tuple[Program, Program]) -> None:
    _ahead, behind = pair
    publish = publish_live(world, pair, "a.localhost")
    observe = behind.driver.observe
    behind.gateway.before = lambda point: None
    behind.gateway.away = True
    assert (
        apply(behind, spec_of(publish, 1).model_copy(update={"generation": 2}))[publish.pk].outcome
        is Outcome.UNREACHABLE
    )
    behind.gateway.away = False
    assert observe().carried[publish.pk].generation == 1
