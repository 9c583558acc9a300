"""What is going on with one publish: its last operations, and how far each agent is. Reads only."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import F, OuterRef, Q, Subquery

from core.pages.live import version_of
from publishes.choices import PEOPLES_KINDS, Phase
from publishes.models import Operation, ProductPublish
from publishes.reading.detail.agents import AgentRow, agents_of
from publishes.reading.facts.situation import PLACE, Situation, deciding_values, deciding_values_on
from tenants.actors import Actor


@dataclass(frozen=True, kw_only=True)
class Snapshot(Situation):
    """What is going on with a publish now.

    `following` is the newest operation of the system after `operation` (a revert or sync), if there is one.
    `agents` are those of its cluster, each with its delivery of the newest of the two.
    """

    following: Operation | None = None
    agents: tuple[AgentRow, ...] = ()

    @property
    def confirmed(self) -> int:
        """How many agents confirmed the newest operation."""
        return sum(row.phase == Phase.SUCCEEDED for row in self.agents)

    @property
    def addresses(self) -> list[str]:
        """Where callers find the gateways that answer now, as their agents report it."""
        return sorted(
            {row.proxy_url for row in self.agents if row.proxy_url and row.is_connected and row.gateway_ok}
        )

    @property
    def is_open(self) -> bool:
        """Whether an operation is open that a person waits for."""
        return any(
            operation is not None and operation.is_open for operation in (self.operation, self.following)
        )

    @property
    def open_generation(self) -> int | None:
        """The generation of the newest operation while it is open."""
        newest = self.following or self.operation
        return newest.generation if newest is not None and newest.is_open else None

    @property
    def is_cancelled(self) -> bool:
        """Whether a person cancelled the last operation of a person."""
        return self.operation is not None and self.operation.phase == Phase.CANCELLED

    @property
    def version(self) -> str:
        """A short hash over all that is shown; changes whenever that does."""
        operations = [(o.pk, o.phase) for o in (self.operation, self.following) if o is not None]
        agents = [row.shown_fields for row in self.agents]
        settings = (
            self.publish.status,
            self.publish.deleted_at,
            self.publish.hostname_base,
            self.publish.frozen_at,
            self.is_place_open,
        )
        return version_of(settings, operations, agents)


def snapshot_of(actor: Actor, publish_id: UUID) -> Snapshot:
    """What is going on with a publish. Two queries (three before its first operation). Raises NotFound."""
    newest_request = (
        Operation.objects.filter(publish=OuterRef("publish"), kind__in=PEOPLES_KINDS)
        .order_by("-generation")
        .values("generation")[:1]
    )
    # Of the system's later operations the newest alone matters; there may be many syncs.
    generations = Q(generation=Subquery(newest_request)) | Q(generation=F("publish__generation"))
    rows = Operation.objects.visible_to(actor).filter(
        generations, publish_id=publish_id, publish__deleted_at=None
    )
    rows = rows.order_by("generation").select_related(*(f"publish__{name}" for name in PLACE))
    operations = list(rows.defer("spec").annotate(**deciding_values(actor.tenant_id, "publish__")))
    requested = next((row for row in operations if row.kind in PEOPLES_KINDS), None)
    newest = operations[-1] if operations else None
    publishes = ProductPublish.objects.select_related(*PLACE).annotate(**deciding_values(actor.tenant_id))
    publish = newest.publish if newest else publishes.get_for(actor, publish_id)
    return Snapshot(
        publish=publish,
        operation=requested,
        following=newest if newest is not requested else None,
        agents=agents_of(publish, requested=requested, newest=newest),
        **deciding_values_on(newest or publish),
    )
