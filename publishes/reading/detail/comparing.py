"""Two states of one publish side by side, each a generation or what an agent carries now. Reads only."""

from dataclasses import dataclass, replace
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
    """One of the two. `spec` is None when an agent carries what we never sent: its content is unknown."""

    key: str
    generation: int
    agent: str = ""
    kind: Kind | None = None
    spec: Spec | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The sides to choose from, the two chosen ones, and their differences (None when a spec is unknown)."""

    publish: ProductPublish
    generations: tuple[Side, ...]
    agents: tuple[Side, ...]
    old: Side | None = None
    new: Side | None = None
    groups: tuple[Group, ...] | None = None


def comparison_of(actor: Actor, publish_id: UUID, *, old: str = "", new: str = "") -> Comparison:
    """Compare the chosen sides. Four queries at most. Raises NotFound.

    Without a choice: the newest generation, with the one that `_default_old` names.
    """
    publish = publish_of(actor, publish_id)
    operations = list(
        publish.operations.order_by("-generation").values_list("generation", "kind", "phase")[
            :GENERATIONS_OFFERED
        ]
    )
    generations = tuple(
        Side(key=str(number), generation=number, kind=Kind(kind)) for number, kind, _phase in operations
    )
    observations = {f"{AGENT}{row.agent_id}": row for row in _observations(publish)}
    agents = tuple(
        Side(key=key, generation=row.generation, agent=row.agent.name) for key, row in observations.items()
    )
    choices = Comparison(publish=publish, generations=generations, agents=agents)
    if not generations:
        return choices
    new = new or generations[0].key
    old = old or str(_default_old(operations, whole_number(new) or generations[0].generation + 1))
    return _filled(choices, old, new, observations)


def _default_old(operations: list[tuple[int, str, str]], generation: int) -> int:
    """A publish is compared with the last successful publish before it, all else with the one before."""
    kinds = {number: kind for number, kind, _phase in operations}
    published = [
        number
        for number, kind, phase in operations
        if kind == Kind.PUBLISH and phase == Phase.SUCCEEDED and number < generation
    ]
    return published[0] if published and kinds.get(generation) == Kind.PUBLISH else max(1, generation - 1)


def _observations(publish: ProductPublish) -> QuerySet[Observation]:
    return publish.observations.filter(agent__blocked_at=None).select_related("agent").order_by("agent__name")


def _filled(choices: Comparison, old: str, new: str, observations: dict[str, Observation]) -> Comparison:
    generations = {key: _generation(key, observations) for key in (old, new)}
    rows = choices.publish.operations.filter(generation__in=generations.values())
    operations = {operation.generation: operation for operation in rows}
    before, after = (_side(key, observations, operations.get(generations[key])) for key in (old, new))
    groups = differences(before.spec, after.spec) if before.spec and after.spec else None
    return replace(choices, old=before, new=after, groups=groups)


def _generation(key: str, observations: dict[str, Observation]) -> int:
    if key in observations:
        return observations[key].generation
    number = whole_number(key)
    if number is None:
        raise NotFound
    return number


def _side(key: str, observations: dict[str, Observation], operation: Operation | None) -> Side:
    observation = observations.get(key)
    if observation is not None:
        is_ours = operation is not None and operation.digest == observation.digest
        spec = Spec.model_validate(operation.spec) if operation is not None and is_ours else None
        return Side(key=key, generation=observation.generation, agent=observation.agent.name, spec=spec)
    if operation is None:
        raise NotFound
    return Side(
        key=key,
        generation=operation.generation,
        kind=Kind(operation.kind),
        spec=Spec.model_validate(operation.spec),
    )
