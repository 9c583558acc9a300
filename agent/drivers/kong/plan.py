"""The way from what a Kong carries to its target: stages, each with the proof that must pass before the next.

Pure; writes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any
from uuid import UUID

from agent.drivers.base import PinnedSpec, Refused, ShownState
from agent.drivers.kong import auth, markers, routing
from agent.drivers.kong.entities import Entity, checksum, own_id, tag_value
from agent.protocol.bounds import bounded
from agent.protocol.spec import AuthMode, Spec, State

Group = str
"""A publish's id, or `issuer:` and the hash of an issuer whose keys publishes share."""

Target = dict[tuple[str, UUID], Entity]

GUARDS = frozenset({"key-auth", "jwt"})


class Gate(Enum):
    """The proof that must pass before the next stage."""

    CLOSED = "closed"  # the auth marker refuses everybody who shows nothing
    LIVE = "live"  # the markers of this generation
    NO_ROUTE = "no route"  # no route of the publish any more


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A whole target of one group, and the proof of it."""

    target: Target
    gate: Gate | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The stages of one group. `pinned_spec` is the spec to prove, None for an issuer."""

    group: Group
    stages: Sequence[Stage]
    pinned_spec: PinnedSpec | None = None


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The entities of ours on a Kong, by group."""

    groups: Mapping[Group, Target] = field(default_factory=dict)

    @classmethod
    def of(cls, entities: Iterable[Entity]) -> "Inventory":
        groups: dict[Group, Target] = {}
        for entity in entities:
            if group := group_of(entity):
                groups.setdefault(group, {})[entity.key] = entity
        return cls(groups=groups)

    def target(self, group: Group) -> Target:
        return self.groups.get(group, {})

    @cached_property
    def shown(self) -> dict[UUID, ShownState]:
        """Generation and digest of each publish; no digest where anything differs from the last write."""
        publishes = [group for group in self.groups if not group.startswith("issuer:")]
        return {UUID(group): self._shown(UUID(group)) for group in publishes}

    @property
    def owners(self) -> dict[str, Group]:
        """Which issuer's key stands under each kid."""
        return {
            str(entity.body["key"]): group
            for group, target in self.groups.items()
            for entity in target.values()
            if entity.kind == "jwt_secrets"
        }

    def generation(self, group: Group) -> int:
        """The newest generation that anybody has written of a publish, 0 for none."""
        numbers = [tag_value(entity.body, "imp-gen:") for entity in self.target(group).values()]
        return bounded(max((int(number) for number in numbers if number.isdecimal()), default=0))

    def issuers(self, group: Group) -> set[Group]:
        """The issuers whose keys a publish needs."""
        return {
            f"issuer:{name}"
            for entity in self.target(group).values()
            if entity.kind == "plugins" and (name := tag_value(entity.body, "imp-issuer:"))
        }

    def _shown(self, publish: UUID) -> ShownState:
        target = self.target(str(publish))
        marker = target.get(("routes", own_id(publish, "route:marker")))
        if marker is None:
            return ShownState(generation=self.generation(str(publish)), digest="")
        is_whole = tag_value(marker.body, "imp-sum:") == checksum(target.values()) and all(
            map(self._is_whole_issuer, self.issuers(str(publish)))
        )
        generation = tag_value(marker.body, "imp-gen:")
        return ShownState(
            generation=int(generation) if generation.isdecimal() else 0,
            digest=tag_value(marker.body, "imp-digest:") if is_whole else "",
        )

    def _is_whole_issuer(self, group: Group) -> bool:
        consumers = [entity for entity in self.target(group).values() if entity.kind == "consumers"]
        keys = [entity for entity in self.target(group).values() if entity.kind != "consumers"]
        return [tag_value(consumer.body, "imp-sum:") for consumer in consumers] == [checksum(keys)]


def group_of(entity: Entity) -> Group:
    """The group that an entity's tags name ("" for none of ours)."""
    publish, issuer = tag_value(entity.body, "imp-publish:"), tag_value(entity.body, "imp-issuer:")
    try:
        if publish:
            return str(UUID(publish))
    except ValueError:
        return ""
    return f"issuer:{issuer}" if issuer else ""


def of_publish(pinned_spec: PinnedSpec, current: Target, options: routing.Options) -> Plan:
    """The stages that bring one publish to its spec. Raises Refused."""
    stages = {State.LIVE: _live_stages, State.WITHDRAWN: _withdrawn_stages, State.ABSENT: _absent_stages}[
        pinned_spec.spec.state
    ](pinned_spec, current, options)
    return Plan(group=str(pinned_spec.publish_id), stages=stages, pinned_spec=pinned_spec)


def issuer_group(issuer: str) -> Group:
    """The group of an issuer's keys."""
    return f"issuer:{auth.issuer_hash(issuer)}"


def of_issuer(issuer: str, jwks: list[dict[str, Any]], current: Target, *, keep: bool) -> Plan:
    """The keys of an issuer. Raises Refused.

    With `keep`, the present ones stay: a publish that the agent knows nothing of may need them.
    """
    present_keys = [entity for entity in current.values() if entity.kind != "consumers"] if keep else []
    return Plan(
        group=issuer_group(issuer),
        stages=[Stage(target=_target(auth.issuer_entities(issuer, jwks, present=present_keys)))],
    )


def _live_stages(pinned_spec: PinnedSpec, current: Target, options: routing.Options) -> list[Stage]:
    entities = routing.live_entities(pinned_spec, options)
    final = _target(markers.marked(pinned_spec.spec, entities))
    stages = []
    closed = _to_open(final, current) if pinned_spec.spec.auth.mode != AuthMode.NONE else set()
    if closed:
        # Catch-all and marker change after the services are open.
        shut = {
            key: entity.with_body(enabled=False) if key in closed else entity
            for key, entity in final.items()
            if not _is_last(entity)
        }
        stages.append(Stage(target={**_remaining(current, final), **shut}, gate=Gate.CLOSED))
    behind = _behind_guards(current, final)
    if behind:
        stages.append(Stage(target={**final, **behind}, gate=Gate.LIVE))
    return [*stages, Stage(target=final)]


def _withdrawn_stages(pinned_spec: PinnedSpec, current: Target, _options: routing.Options) -> list[Stage]:
    spec = pinned_spec.spec
    entities = routing.withdrawn_entities(spec, list(current.values()))
    final = _target(markers.marked(spec, entities))
    if not any(entity.kind == "services" and entity.body["enabled"] for entity in current.values()):
        return [Stage(target=final)]
    # The answer for everybody comes first, then the services go: in the other order callers would meet a 404.
    catch_all = {
        key: entity
        for key, entity in final.items()
        if entity.wave >= markers.REST_WAVE and key not in _marker_keys(spec)
    }
    # The catch-all may win over a service as soon as it has the path /, so its answer changes before it does.
    answers = {
        key: replace(entity, wave=markers.REST_WAVE - 1)
        for key, entity in catch_all.items()
        if entity.kind == "plugins" and key in current
    }
    return [Stage(target={**current, **catch_all, **answers}), Stage(target=final)]


def _absent_stages(_pinned_spec: PinnedSpec, current: Target, _options: routing.Options) -> list[Stage]:
    if not current:
        return []
    if not _is_guarded(current):
        return [Stage(target={})]
    # A Kong worker may see a plugin go before its route goes. So the routes go first, and the plugins once no
    # worker knows a way past them.
    routes = {entity.id for entity in current.values() if entity.kind == "routes"}
    without_routes = {
        key: entity
        for key, entity in current.items()
        if entity.kind != "routes" and entity.parent("route") not in routes
    }
    return (
        [Stage(target=without_routes, gate=Gate.NO_ROUTE), Stage(target={})]
        if len(without_routes) < len(current)
        else [Stage(target={})]
    )


def _to_open(final: Target, current: Target) -> set[tuple[str, UUID]]:
    """The services that callers could not reach so far."""

    def is_open(key: tuple[str, UUID]) -> bool:
        return key in current and bool(current[key].body.get("enabled"))

    return {key for key, entity in final.items() if entity.kind == "services" and not is_open(key)}


def _remaining(current: Target, final: Target) -> Target:
    """The entities that stay until the services are open: those written last, and those to be removed."""
    return {key: entity for key, entity in current.items() if key not in final or _is_last(entity)}


def _is_last(entity: Entity) -> bool:
    publish = tag_value(entity.body, "imp-publish:")
    names = ("marker", "rest")
    routes = {own_id(UUID(publish), f"route:{name}") for name in names}
    return entity.id in routes or entity.parent("route") in routes


def _behind_guards(current: Target, final: Target) -> Target:
    """Guarded services, and their plugins, that are removed once no worker knows a way to them any more."""
    if not _is_guarded(current):
        return {}
    services = {
        entity.id for key, entity in current.items() if entity.kind == "services" and key not in final
    }
    return {
        key: entity
        for key, entity in current.items()
        if entity.id in services or (entity.kind == "plugins" and entity.parent("service") in services)
    }


def _is_guarded(current: Target) -> bool:
    return any(entity.kind == "plugins" and entity.body.get("name") in GUARDS for entity in current.values())


def _marker_keys(spec: Spec) -> set[tuple[str, UUID]]:
    route = own_id(spec.publish_id, "route:marker")
    return {("routes", route), ("plugins", own_id(spec.publish_id, f"plugin:request-termination:{route}"))}


def _target(entities: Iterable[Entity]) -> Target:
    return {entity.key: entity for entity in entities}


def is_same(first: Target, second: Target) -> bool:
    """True when nothing has to be written to come from one to the other."""
    return first.keys() == second.keys() and all(entity.equals(first[key]) for key, entity in second.items())


def conflict(kid: str) -> Refused:
    """The refusal of an issuer with a kid that another issuer uses."""
    message = f"Another issuer on this Kong has a key with the kid {kid}, and Kong finds keys by it alone."
    return Refused(message, code="kid_conflict", entity=f"key {kid}", field="jwks")
