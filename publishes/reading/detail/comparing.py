"""Two states of one publish side by side: any two generations, or one and what an agent says it carries now. Reads only."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models.query import QuerySet

from agent.protocol.spec import Spec
from core.problems import NotFound
from core.texts import whole_number
from publishes.choices import Kind, Phase
from publishes.models import Observation, Operation, ProductPublish
from publishes.reading.detail.differences import Group, differences
from publishes.reading.facts.selectors import publish_of
from tenants.actors import Actor

GENERATIONS_OFFERED = 50
AGENT = "agent:"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two. `spec` is None when what an agent carries was never sent by us, so that nobody here knows what is in it."""

    key: str
    generation: int
    agent: str = ""
    kind: Kind | None = None
    spec: Spec | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What can be chosen, what was, and what differs (None when it cannot be told)."""

    publish: ProductPublish
    generations: tuple[Side, ...]
    agents: tuple[Side, ...]
    old: Side | None = None
    new: Side | None = None
    groups: tuple[Group, ...] | None = None


def comparison_of(actor: Actor, publish_id: UUID, *, old: str = "", new: str = "") -> Comparison:
    """Compare; without a choice the newest generation with the one that people would ask about. Four queries at most. Raises NotFound."""
    publish = publish_of(actor, publish_id)
    operations = list(
        publish.operations.order_by("-generation").values_list("generation", "kind", "phase")[
            :GENERATIONS_OFFERED
        ]
    )
    generations = tuple(
        Side(key=str(number), generation=number, kind=Kind(kind)) for number, kind, _phase in operations
    )
    seen = list(_observations(publish))
    agents = tuple(
        Side(key=f"{AGENT}{one.agent_id}", generation=one.generation, agent=one.agent.name) for one in seen
    )
    chosen = Comparison(publish=publish, generations=generations, agents=agents)
    if not generations:
        return chosen
    new = new or generations[0].key
    old = old or str(_before(operations, whole_number(new) or generations[0].generation + 1))
    return _filled(chosen, old, new, {f"{AGENT}{one.agent_id}": one for one in seen})


def _before(operations: list[tuple[int, str, str]], generation: int) -> int:
    """What a generation is compared with: a publish with what was live before, whatever came in between; anything else with the one before it."""
    kinds = {number: kind for number, kind, _phase in operations}
    live = [
        number
        for number, kind, phase in operations
        if kind == Kind.PUBLISH and phase == Phase.SUCCEEDED and number < generation
    ]
    return live[0] if live and kinds.get(generation) == Kind.PUBLISH else max(1, generation - 1)


def _observations(publish: ProductPublish) -> QuerySet[Observation]:
    return publish.observations.filter(agent__blocked_at=None).select_related("agent").order_by("agent__name")


def _filled(chosen: Comparison, old: str, new: str, seen: dict[str, Observation]) -> Comparison:
    wanted = {key: _generation(key, seen) for key in (old, new)}
    stored = {
        operation.generation: operation
        for operation in chosen.publish.operations.filter(generation__in=wanted.values())
    }
    before, after = (_side(key, seen, stored.get(wanted[key])) for key in (old, new))
    groups = differences(before.spec, after.spec) if before.spec and after.spec else None
    return Comparison(
        publish=chosen.publish,
        generations=chosen.generations,
        agents=chosen.agents,
        old=before,
        new=after,
        groups=groups,
    )


def _generation(key: str, seen: dict[str, Observation]) -> int:
    if key in seen:
        return seen[key].generation
    number = whole_number(key)
    if number is None:
        raise NotFound
    return number


def _side(key: str, seen: dict[str, Observation], operation: Operation | None) -> Side:
    told = seen.get(key)
    if told is not None:
        is_known = operation is not None and operation.digest == told.digest
        spec = Spec.model_validate(operation.spec) if operation is not None and is_known else None
        return Side(key=key, generation=told.generation, agent=told.agent.name, spec=spec)
    if operation is None:
        raise NotFound
    return Side(
        key=key,
        generation=operation.generation,
        kind=Kind(operation.kind),
        spec=Spec.model_validate(operation.spec),
    )
