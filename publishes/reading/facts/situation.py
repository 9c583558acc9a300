"""The situation of a publish: all that decides which actions it allows now. Reads only."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.db.models.query import QuerySet

from clusters.models import Agent, open_to
from publishes.choices import PEOPLES_KINDS, KeyState, Phase
from publishes.models import Credential, Operation, ProductPublish
from tenants.actors import Actor

PLACE = ("product", "cluster", "gateway")


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A publish with its product and cluster, and all that decides which actions it allows now.

    `operation` is the last one of a person. `is_place_open`: whether operators let the tenant use
    its cluster; `is_served`: whether an agent of the cluster that is not blocked can serve its gateway;
    `has_active_key`: whether a key of it is let in.
    """

    publish: ProductPublish
    operation: Operation | None = None
    is_place_open: bool = True
    is_served: bool = True
    has_active_key: bool = False

    @property
    def has_open_request(self) -> bool:
        """Whether a person's operation is open; another one is refused until it has closed."""
        return self.operation is not None and self.operation.is_open

    @property
    def has_failed(self) -> bool:
        """Whether the last operation of a person failed."""
        return self.operation is not None and self.operation.phase == Phase.FAILED


def situation_of(publish: ProductPublish) -> Situation:
    """The situation of a publish that was read with its product and cluster. One query, two at most."""
    operation = (
        _requests_of(publish.tenant_id).filter(publish=publish).first() if publish.generation else None
    )
    publishes = ProductPublish.objects.annotate(**deciding_values(publish.tenant_id))
    row = operation or publishes.only("pk").get(pk=publish.pk)
    return Situation(publish=publish, operation=operation, **deciding_values_on(row))


def situation_at(actor: Actor, publish_id: UUID) -> Situation:
    """The same with the publish itself. One query, two before its first operation. Raises NotFound."""
    actor.require_read()
    rows = _requests_of(actor.tenant_id).filter(
        publish=publish_id, publish__tenant=actor.tenant_id, publish__deleted_at=None
    )
    operation = rows.select_related(*(f"publish__{name}" for name in PLACE)).first()
    if operation is not None:
        return Situation(publish=operation.publish, operation=operation, **deciding_values_on(operation))
    publishes = ProductPublish.objects.select_related(*PLACE).annotate(**deciding_values(actor.tenant_id))
    publish = publishes.get_for(actor, publish_id)
    return Situation(publish=publish, **deciding_values_on(publish))


def deciding_values(tenant_id: UUID, prefix: str = "") -> dict[str, Any]:
    """For `annotate`: the values that decide. `prefix` leads from the model to the publish."""
    agents = Agent.objects.filter(
        blocked_at=None,
        cluster=OuterRef(f"{prefix}cluster"),
        driver=OuterRef(f"{prefix}gateway__gateway_class"),
    )
    keys = Credential.objects.filter(publish=OuterRef(f"{prefix}pk"), state=KeyState.ACTIVE)
    return {
        "is_place_open": open_to(tenant_id, f"{prefix}cluster__"),
        "is_served": Exists(agents),
        "has_active_key": Exists(keys),
    }


def deciding_values_on(row: Operation | ProductPublish) -> dict[str, Any]:
    """The values that `deciding_values` has put on a row."""
    return {name: bool(getattr(row, name)) for name in ("is_place_open", "is_served", "has_active_key")}


def _requests_of(tenant_id: UUID) -> QuerySet[Operation]:
    """Operations of people, the newest first, without their specs."""
    rows = Operation.objects.filter(kind__in=PEOPLES_KINDS).order_by("-generation").defer("spec")
    return rows.annotate(**deciding_values(tenant_id, "publish__"))
