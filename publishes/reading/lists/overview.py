"""배포: all products by environment, the counts of conditions, and the latest events. Reads only."""

from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import Exists, F, OuterRef, Window
from django.db.models.functions import RowNumber
from django.db.models.query import QuerySet

from clusters.models import Cluster
from core.pages.live import version_of
from products.models import Product
from publishes.choices import Condition, Environment
from publishes.models import ProductPublish, PublishEvent
from publishes.reading.lists.listing import Filters, conditions_of, counts, matching, with_conditions
from tenants.actors import Actor

PRODUCTS_PER_PAGE = 25
SHOWN_PER_CELL = 3
SHOWN_FOR_A_PRODUCT = 50
SHOWN_PER_COLUMN = 25
EVENTS_SHOWN = 6
# Events are those of the last changed publishes: for a small tenant, a walk through all events takes long.
_EVENTS_FROM = 50


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The publishes of one product in one environment, the last changed first; `has_more`: there are more."""

    environment: Environment
    publishes: tuple[ProductPublish, ...]
    has_more: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """One product and its three cells, in the brief's order."""

    product: Product
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Overview:
    """All that the page shows but the choices of its filters."""

    filters: Filters
    counts: dict[Condition, int]
    page: Page[Product]
    rows: tuple[Row, ...]
    events: tuple[PublishEvent, ...]

    @property
    def is_busy(self) -> bool:
        """Whether an operation is open."""
        return self.counts[Condition.IN_PROGRESS] > 0

    @cached_property
    def version(self) -> str:
        """A short hash over all that is shown but times."""
        publishes = [
            (p.pk, p.status, p.cluster.name, getattr(p, "open_kind", None), conditions_of(p))
            for row in self.rows
            for c in row.cells
            for p in c.publishes
        ]
        products = [(row.product.pk, str(row.product)) for row in self.rows]
        return version_of(
            sorted(self.counts.items()),
            products,
            publishes,
            [event.pk for event in self.events],
            self.page.paginator.num_pages,
        )


def overview_of(actor: Actor, filters: Filters, *, number: str | None = None) -> Overview:
    """One page of the overview. Five queries, whatever there is."""
    page = Paginator(_products(actor, filters), PRODUCTS_PER_PAGE).get_page(number)
    return Overview(
        filters=filters,
        counts=counts(actor, filters),
        page=page,
        rows=_rows(actor, filters, products=list(page.object_list)),
        events=_events(actor, filters),
    )


def by_environment(actor: Actor, filters: Filters) -> tuple[Cell, ...]:
    """The publishes of all products in three columns, the last changed first, at most 25 each. One query."""
    rows = matching(actor, filters)
    first = _first_per_group(actor, rows, by=["environment"], at_most=SHOWN_PER_COLUMN + 1)
    publishes = list(first.select_related("product", "cluster"))
    return tuple(
        _cell(env, [row for row in publishes if row.environment == env], shown=SHOWN_PER_COLUMN)
        for env in Environment
    )


def clusters_of(actor: Actor) -> QuerySet[Cluster]:
    """The clusters that carry a publish of the tenant, by name, for the choices of a filter."""
    return Cluster.objects.filter(Exists(matching(actor, Filters()).filter(cluster=OuterRef("pk"))))


def _products(actor: Actor, filters: Filters) -> QuerySet[Product]:
    return Product.objects.visible_to(actor).filter(
        Exists(matching(actor, filters).filter(product=OuterRef("pk")))
    )


def _rows(actor: Actor, filters: Filters, *, products: list[Product]) -> tuple[Row, ...]:
    shown = SHOWN_FOR_A_PRODUCT if filters.product else SHOWN_PER_CELL
    by_cell: dict[tuple[UUID, str], list[ProductPublish]] = {}
    for publish in _publishes(actor, filters, products=products, at_most=shown + 1):
        by_cell.setdefault((publish.product_id, publish.environment), []).append(publish)
    return tuple(
        Row(
            product=product,
            cells=tuple(_cell(env, by_cell.get((product.pk, env), []), shown=shown) for env in Environment),
        )
        for product in products
    )


def _cell(environment: Environment, publishes: list[ProductPublish], *, shown: int) -> Cell:
    return Cell(environment=environment, publishes=tuple(publishes[:shown]), has_more=len(publishes) > shown)


def _publishes(
    actor: Actor, filters: Filters, *, products: list[Product], at_most: int
) -> QuerySet[ProductPublish]:
    """The publishes of the products, at most `at_most` per environment of each."""
    rows = matching(actor, filters).filter(product__in=products)
    return _first_per_group(actor, rows, by=["product_id", "environment"], at_most=at_most).select_related(
        "cluster"
    )


def _first_per_group(
    actor: Actor, rows: QuerySet[ProductPublish], *, by: list[str], at_most: int
) -> QuerySet[ProductPublish]:
    order = F("updated_at").desc()
    ranked = rows.annotate(place=Window(RowNumber(), partition_by=by, order_by=order)).filter(
        place__lte=at_most
    )
    chosen = ProductPublish.objects.visible_to(actor).filter(pk__in=ranked.order_by().values("pk"))
    return with_conditions(chosen).order_by(order)


def _events(actor: Actor, filters: Filters) -> tuple[PublishEvent, ...]:
    lately = matching(actor, filters.without("condition")).order_by("-updated_at").values("pk")[:_EVENTS_FROM]
    return tuple(
        PublishEvent.objects.filter(publish__in=lately).select_related(
            "publish__product", "publish__cluster"
        )[:EVENTS_SHOWN]
    )
