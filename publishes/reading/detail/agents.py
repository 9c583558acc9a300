"""The agent board: what each agent of a publish's cluster carries, and its newest delivery. Reads only."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import BooleanField, ExpressionWrapper, F, FilteredRelation, Q

from clusters.models import Agent, connected
from publishes.choices import OPEN_PHASES, Desired, Phase
from publishes.models import Operation, ProductPublish
from publishes.reading.facts.silence import request_error_of

_NO_OPERATION = UUID(int=0)
_PATHS = (
    ("last_seen_at", "liveness__last_seen_at"),
    ("gateway_ok", "liveness__gateway_ok"),
    ("gateway_error", "liveness__gateway_error"),
    ("proxy_url", "liveness__proxy_url"),
    ("carried_generation", "observation__generation"),
    ("carried_state", "observation__state"),
    ("carried_verified", "observation__verified"),
    ("phase", "delivery__phase"),
    ("attempt", "delivery__attempt"),
    ("step", "delivery__step"),
    ("message", "delivery__message"),
    ("changed_at", "delivery__updated_at"),
    ("evidence", "delivery__evidence"),
    ("refusal", "refused_delivery__message"),
    ("entity", "refused_delivery__entity"),
    ("field", "refused_delivery__field"),
)
"""The fields that are read through relations: the liveness, and what `agents_of` annotates."""


@dataclass(frozen=True, kw_only=True)
class AgentRow:
    """One agent: in `carried…` its last observation, then its delivery of the newest operation, if any.

    `request_error`: why we have refused its requests since its last heartbeat, in English.
    `refusal`, `entity` and `field` are its answer to a person's last operation, also while that is reverted.
    """

    name: str
    is_blocked: bool
    is_connected: bool | None
    last_seen_at: datetime | None
    gateway_ok: bool | None
    gateway_error: str | None
    proxy_url: str | None
    carried_generation: int | None
    carried_state: str | None
    carried_verified: bool | None
    request_error: str | None
    phase: str | None
    attempt: int | None
    step: str | None
    message: str | None
    changed_at: datetime | None
    evidence: dict[str, int] | None
    refusal: str | None
    entity: str | None
    field: str | None

    @property
    def is_open(self) -> bool:
        """Whether its delivery is open."""
        return self.phase in OPEN_PHASES

    @property
    def is_silent(self) -> bool:
        """Whether it was connected before, and it or its gateway is away now."""
        return self.last_seen_at is not None and not (self.is_connected and self.gateway_ok)

    @property
    def has_refused(self) -> bool:
        """Whether it refused the last operation of a person."""
        return self.refusal is not None

    def runs(self, publish: ProductPublish) -> bool:
        """Whether it proved the desired state in its newest generation."""
        return (
            bool(self.carried_verified)
            and self.carried_generation == publish.generation
            and self.carried_state == publish.desired_state
        )

    def serves(self, publish: ProductPublish) -> bool:
        """Whether it proved that callers are served, in the newest generation or an older one."""
        return bool(self.carried_verified) and self.carried_state == publish.desired_state == Desired.LIVE

    @property
    def shown_fields(self) -> tuple[object, ...]:
        """All that people see of it but the time of its heartbeat, which changes every few seconds."""
        return (
            self.name,
            self.is_blocked,
            self.is_connected,
            self.gateway_ok,
            self.request_error,
            self.carried_generation,
            self.phase,
            self.attempt,
            self.step,
            self.message,
            self.refusal,
            self.entity,
        )


def agents_of(
    publish: ProductPublish, *, requested: Operation | None, newest: Operation | None
) -> tuple[AgentRow, ...]:
    """The agents that can serve the publish's gateway, by name. One query.

    `requested` is the last operation of a person, `newest` the last one of all. A blocked agent is shown
    only with a delivery of `newest`.
    """
    rows = Agent.objects.filter(cluster_id=publish.cluster_id, driver=publish.gateway.gateway_class)
    agents = rows.annotate(
        is_blocked=ExpressionWrapper(Q(blocked_at__isnull=False), output_field=BooleanField()),
        is_connected=connected(),
        request_error=request_error_of(),
        observation=FilteredRelation("observations", condition=Q(observations__publish=publish.pk)),
        delivery=FilteredRelation("deliveries", condition=_is_of(newest)),
        refused_delivery=FilteredRelation(
            "deliveries", condition=_is_of(requested) & Q(deliveries__phase=Phase.FAILED)
        ),
    )
    shown = agents.filter(Q(blocked_at=None) | Q(delivery__isnull=False)).order_by("name")
    columns = {name: F(path) for name, path in _PATHS}
    own = ("name", "is_blocked", "is_connected", "request_error")
    return tuple(AgentRow(**row) for row in shown.values(*own, **columns))


def _is_of(operation: Operation | None) -> Q:
    """Which delivery of an agent is the operation's; none when there is no operation."""
    return Q(deliveries__operation=operation.pk if operation else _NO_OPERATION)
