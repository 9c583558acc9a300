"""The environments of a product: where it is published, and the board with a column for each. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef, Subquery
from django.db.models.query import QuerySet

from core.pages.live import version_of
from products.models import Product
from publishes.choices import OPEN_PHASES, PEOPLES_KINDS, Environment, Status
from publishes.models import Operation, ProductPublish
from publishes.reading.facts.selectors import publishes_of
from publishes.reading.facts.silence import silent
from tenants.actors import Actor

COLUMN_TITLES = {Environment.DEV: "DEV", Environment.STAGE: "STAGING", Environment.PROD: "PROD"}
_BOARD_ORDER = {Status.PUBLISHED: 0, Status.WITHDRAWN: 1, Status.DRAFT: 2}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One environment of the board on a product's page."""

    environment: Environment
    publishes: tuple[ProductPublish, ...]

    @property
    def title(self) -> str:
        """DEV, STAGING or PROD, as the brief heads its columns."""
        return COLUMN_TITLES[self.environment]

    @property
    def is_deployed(self) -> bool:
        """Whether it has a PUBLISHED publish."""
        return any(publish.status == Status.PUBLISHED for publish in self.publishes)


@dataclass(frozen=True, kw_only=True)
class Board:
    """배포 현황: all three environments in the brief's order, each with its publishes."""

    columns: tuple[Column, ...]

    @property
    def deployed(self) -> int:
        """The number of environments with a PUBLISHED publish."""
        return sum(column.is_deployed for column in self.columns)

    @property
    def is_empty(self) -> bool:
        """Whether there is no publish at all."""
        return not any(column.publishes for column in self.columns)

    @property
    def is_busy(self) -> bool:
        """Whether an operation of a person is open."""
        return any(
            getattr(publish, "open_kind", None) for column in self.columns for publish in column.publishes
        )

    @property
    def version(self) -> str:
        """A short hash over all that is shown."""
        names = ("pk", "status", "hostname_base", "frozen_at", "open_kind", "last_phase", "is_silent")
        return version_of(
            [
                [getattr(publish, name, None) for name in names]
                for column in self.columns
                for publish in column.publishes
            ]
        )


def board_of(actor: Actor, product: Product) -> Board:
    """The product's publishes by environment: published ones, then withdrawn ones, then drafts. One query."""
    rows = sorted(
        with_progress(publishes_of(actor, product)), key=lambda row: _BOARD_ORDER[Status(row.status)]
    )
    return Board(
        columns=tuple(
            Column(environment=env, publishes=tuple(row for row in rows if row.environment == env))
            for env in Environment
        )
    )


def with_progress(publishes: QuerySet[ProductPublish]) -> QuerySet[ProductPublish]:
    """Adds `open_kind` (of a person's open operation), `last_phase` (of the last one) and `is_silent`."""
    requests = Operation.objects.filter(publish=OuterRef("pk"), kind__in=PEOPLES_KINDS).order_by(
        "-generation"
    )
    return publishes.annotate(
        open_kind=Subquery(requests.filter(phase__in=OPEN_PHASES).values("kind")[:1]),
        last_phase=Subquery(requests.values("phase")[:1]),
        is_silent=Exists(ProductPublish.objects.filter(silent(), pk=OuterRef("pk"))),
    )


def published_environments(actor: Actor, products: Sequence[Product]) -> dict[UUID, list[Environment]]:
    """Where each of the products is PUBLISHED, in the brief's order. One query."""
    rows = ProductPublish.objects.visible_to(actor).filter(product__in=products, status=Status.PUBLISHED)
    by_product: dict[UUID, set[str]] = {}
    for product_id, environment in rows.values_list("product_id", "environment").distinct():
        by_product.setdefault(product_id, set()).add(environment)
    return {
        product_id: [env for env in Environment if env in published]
        for product_id, published in by_product.items()
    }
