"""Which publishes a list shows, and the conditions of each: one set of filters for all. Reads only."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, Subquery, TextChoices, Value
from django.db.models.query import QuerySet

from clusters.models import Agent
from core.pages.searching import search_text, text_filter
from publishes.choices import (
    OPEN_PHASES,
    PEOPLES_KINDS,
    AuthMode,
    Condition,
    Desired,
    Environment,
    Phase,
    Status,
)
from publishes.models import Delivery, Observation, Operation, ProductPublish
from publishes.reading.facts.silence import silent
from tenants.actors import Actor

_EXACT = ("environment", "status", "auth_mode", "product", "cluster", "gateway")


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a list is narrowed to; an empty filter narrows nothing.

    `text` is looked for in product, hostname, cluster and gateway.
    """

    text: str = ""
    environment: str = ""
    status: str = ""
    condition: str = ""
    auth_mode: str = ""
    product: UUID | None = None
    cluster: UUID | None = None
    gateway: UUID | None = None

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self:
        """The filters of a URL. An unknown value is left out: an old link shows more, never an error."""
        return cls(
            text=search_text(parameters.get("text", "")),
            environment=_choice(Environment, parameters.get("environment", "")),
            status=_choice(Status, parameters.get("status", "")),
            condition=_choice(Condition, parameters.get("condition", "")),
            auth_mode=_choice(AuthMode, parameters.get("auth_mode", "")),
            product=_id(parameters.get("product", "")),
            cluster=_id(parameters.get("cluster", "")),
            gateway=_id(parameters.get("gateway", "")),
        )

    def without(self, *names: str) -> "Filters":
        """The same filters without these."""
        empty = Filters()
        return replace(self, **{name: getattr(empty, name) for name in names})

    @property
    def as_query(self) -> dict[str, str]:
        """The filters that are set, by name, as they stand in a URL."""
        return {field.name: str(value) for field in fields(self) if (value := getattr(self, field.name))}


def matching(actor: Actor, filters: Filters) -> QuerySet[ProductPublish]:
    """The tenant's publishes that the filters let through, newest first. No query yet."""
    exact = {name: value for name in _EXACT if (value := getattr(filters, name))}
    rows = ProductPublish.objects.visible_to(actor).filter(**exact)
    if filters.condition:
        rows = rows.filter(_CONDITIONS[Condition(filters.condition)]())
    return rows.filter(
        text_filter(filters.text, "product__name", "hostname_base", "cluster__name", "gateway__name")
    )


def with_conditions(publishes: QuerySet[ProductPublish]) -> QuerySet[ProductPublish]:
    """Adds what `conditions_of` reads. Still one query; for a page of rows.

    `open_kind` is the kind of the open operation, None at rest.
    """
    operations = Operation.objects.filter(publish=OuterRef("pk")).order_by("-generation")
    return publishes.annotate(
        open_kind=Subquery(operations.filter(phase__in=OPEN_PHASES).values("kind")[:1]),
        last_phase=Subquery(operations.filter(kind__in=PEOPLES_KINDS).values("phase")[:1]),
        is_drift=_drift(),
        is_waiting=_waiting(),
        is_silent=Exists(ProductPublish.objects.filter(silent(), pk=OuterRef("pk"))),
    )


def conditions_of(publish: ProductPublish) -> tuple[Condition, ...]:
    """The conditions of a row of `with_conditions`, the most urgent first."""
    is_met = {
        Condition.IN_PROGRESS: getattr(publish, "open_kind") is not None,  # noqa: B009 - annotated above
        Condition.FAILED: getattr(publish, "last_phase") == Phase.FAILED,  # noqa: B009
        Condition.DRIFT: getattr(publish, "is_drift"),  # noqa: B009
        Condition.WAITING: getattr(publish, "is_waiting"),  # noqa: B009
        Condition.SILENT: getattr(publish, "is_silent"),  # noqa: B009
        Condition.FROZEN: publish.frozen_at is not None,
    }
    return tuple(condition for condition, value in is_met.items() if value)


def counts(actor: Actor, filters: Filters) -> dict[Condition, int]:
    """How many publishes are in each condition, whatever condition the filters name. One query."""
    # A union, and not one aggregate: as WHERE, a condition is a join over the few open and failed rows; as
    # FILTER, it runs for each row.
    first, *more = (
        _counted(matching(actor, replace(filters, condition=condition.value)), condition)
        for condition in Condition
    )
    counted = {Condition(value): number for value, number in first.union(*more, all=True)}
    return dict.fromkeys(Condition, 0) | counted


def _counted(rows: QuerySet[ProductPublish], condition: Condition) -> QuerySet[Any, tuple[str, int]]:
    return rows.order_by().values_list(Value(condition.value)).annotate(number=Count("pk"))


def _in_progress() -> Q:
    return Q(Exists(Operation.objects.filter(publish=OuterRef("pk"), phase__in=OPEN_PHASES)))


def _failed() -> Q:
    """The last operation of a person failed."""
    later = Operation.objects.filter(
        publish=OuterRef("publish"), kind__in=PEOPLES_KINDS, generation__gt=OuterRef("generation")
    )
    return Q(
        Exists(
            Operation.objects.filter(
                ~Exists(later), publish=OuterRef("pk"), kind__in=PEOPLES_KINDS, phase=Phase.FAILED
            )
        )
    )


def _drift() -> Q:
    """An agent without an open delivery carries another spec than the desired one."""
    open_deliveries = Delivery.objects.filter(
        agent=OuterRef("agent"),
        operation__publish=OuterRef("publish"),
        operation__generation=OuterRef(OuterRef("generation")),
        phase__in=OPEN_PHASES,
    )
    same = Q(
        generation=OuterRef("generation"),
        digest=OuterRef("desired_digest"),
        state=OuterRef("desired_state"),
        verified=True,
    )
    differing = Observation.objects.filter(
        ~same, ~Exists(open_deliveries), publish=OuterRef("pk"), agent__blocked_at=None
    )
    return Q(Exists(differing), desired_state__in=[Desired.LIVE, Desired.WITHDRAWN])


def _waiting() -> Q:
    """The newest generation has an open delivery to an agent that is away, blocked or without gateway."""
    able = Agent.objects.connected().filter(pk=OuterRef("agent"), liveness__gateway_ok=True)
    open_deliveries = Delivery.objects.filter(
        operation__publish=OuterRef("pk"), operation__generation=OuterRef("generation"), phase__in=OPEN_PHASES
    )
    return Q(Exists(open_deliveries.filter(~Exists(able))))


def _frozen() -> Q:
    return Q(frozen_at__isnull=False)


_CONDITIONS = {
    Condition.IN_PROGRESS: _in_progress,
    Condition.FAILED: _failed,
    Condition.DRIFT: _drift,
    Condition.WAITING: _waiting,
    Condition.SILENT: silent,
    Condition.FROZEN: _frozen,
}


def _choice(choices: type[TextChoices], text: str) -> str:
    return text if text in choices.values else ""


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
