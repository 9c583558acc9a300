"""The agent board: what each agent of a publish's cluster runs, and how far it is. Reads only."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import BooleanField, ExpressionWrapper, F, FilteredRelation, Q

from clusters.models import Agent, connected
from publishes.choices import OPEN_PHASES, Desired, Phase
from publishes.models import Operation, ProductPublish
from publishes.reading.facts.silence import refusal_of

_NOTHING = UUID(int=0)
_PATHS = (
    ("last_seen_at", "liveness__last_seen_at"),
    ("gateway_ok", "liveness__gateway_ok"),
    ("gateway_error", "liveness__gateway_error"),
    ("proxy_url", "liveness__proxy_url"),
    ("running", "proved__generation"),
    ("running_state", "proved__state"),
    ("running_verified", "proved__verified"),
    ("phase", "delivery__phase"),
    ("attempt", "delivery__attempt"),
    ("step", "delivery__step"),
    ("message", "delivery__message"),
    ("changed_at", "delivery__updated_at"),
    ("evidence", "delivery__evidence"),
    ("refusal", "refused__message"),
    ("entity", "refused__entity"),
    ("field", "refused__field"),
)
"""The fields of a row that stand in what belongs to the agent: its liveness, and the relations of `agents_of`."""


@dataclass(frozen=True, kw_only=True)
class AgentRow:
    """One agent. `running…` is what it proved last; the rest is its delivery of the newest operation, empty when it has none.

    `not_believed`: why its requests are refused since it was last heard of, in English, such as a clock that is off.
    `refusal`, `entity` and `field` are its words about what a person asked for last, also while the system is going back.
    """

    name: str
    is_blocked: bool
    is_connected: bool | None
    last_seen_at: datetime | None
    gateway_ok: bool | None
    gateway_error: str | None
    proxy_url: str | None
    running: int | None
    running_state: str | None
    running_verified: bool | None
    not_believed: str | None
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
        """Whether its word is still awaited."""
        return self.phase in OPEN_PHASES

    @property
    def is_silent(self) -> bool:
        """Whether nothing is known of its gateway now, although it was heard of before."""
        return self.last_seen_at is not None and not (self.is_connected and self.gateway_ok)

    @property
    def has_refused(self) -> bool:
        """Whether it said no to what was asked for last."""
        return self.refusal is not None

    def runs(self, publish: ProductPublish) -> bool:
        """Whether it proved exactly what is wanted."""
        return (
            bool(self.running_verified)
            and self.running == publish.generation
            and self.running_state == publish.desired_state
        )

    def serves(self, publish: ProductPublish) -> bool:
        """Whether callers meet the publish there, also while a newer generation of it is on its way."""
        return bool(self.running_verified) and self.running_state == publish.desired_state == Desired.LIVE

    @property
    def shown(self) -> tuple[object, ...]:
        """All that people see of it but the clock: a connected agent is heard of every few seconds, and that is no news."""
        return (
            self.name,
            self.is_blocked,
            self.is_connected,
            self.gateway_ok,
            self.not_believed,
            self.running,
            self.phase,
            self.attempt,
            self.step,
            self.message,
            self.refusal,
            self.entity,
        )


def agents_of(
    publish: ProductPublish, *, asked: Operation | None, newest: Operation | None
) -> tuple[AgentRow, ...]:
    """The agents that can serve the publish's gateway, by name; a blocked one while its word is awaited. One query."""
    rows = Agent.objects.filter(cluster_id=publish.cluster_id, driver=publish.gateway.gateway_class)
    compared = rows.annotate(
        is_blocked=ExpressionWrapper(Q(blocked_at__isnull=False), output_field=BooleanField()),
        is_connected=connected(),
        not_believed=refusal_of(),
        proved=FilteredRelation("observations", condition=Q(observations__publish=publish.pk)),
        delivery=FilteredRelation("deliveries", condition=_is_of(newest)),
        refused=FilteredRelation("deliveries", condition=_is_of(asked) & Q(deliveries__phase=Phase.FAILED)),
    )
    awaited = compared.filter(Q(blocked_at=None) | Q(delivery__isnull=False)).order_by("name")
    columns = {name: F(path) for name, path in _PATHS}
    own = ("name", "is_blocked", "is_connected", "not_believed")
    return tuple(AgentRow(**row) for row in awaited.values(*own, **columns))


def _is_of(operation: Operation | None) -> Q:
    """Which delivery of an agent is the operation's; none when there is no operation."""
    return Q(deliveries__operation=operation.pk if operation else _NOTHING)
