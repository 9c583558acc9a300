"""Which publishes carry an API service, and whether they carry it as it is now. Reads only."""

from dataclasses import dataclass

from agent.protocol.spec import Spec
from products.models import ApiService
from publishes import spec
from publishes.models import Operation, ProductPublish
from publishes.reading.facts.uses import operations_carrying

CARRIERS_SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """A publish with the service: the operation that brought it, and whether the service is unchanged."""

    operation: Operation
    is_current: bool

    @property
    def publish(self) -> ProductPublish:
        """The publish."""
        return self.operation.publish


def carriers_of(service: ApiService) -> list[Carrier]:
    """The newest publishes that are live with the service, or are becoming so. Two queries."""
    planned = spec.planned(service)
    rows = operations_carrying(service).select_related(
        "publish__product", "publish__cluster", "publish__gateway"
    )[:CARRIERS_SHOWN]
    return [
        Carrier(
            operation=row,
            is_current=any(carried == planned for carried in Spec.model_validate(row.spec).services),
        )
        for row in rows
    ]
