"""The JSON API of all publishes of a workspace: searched, narrowed, sorted."""

from enum import StrEnum
from uuid import UUID

from django.db.models import F, OrderBy
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import Field

from core.api.paging import PageIn, page_of
from core.pages.searching import SearchText
from publishes.api.answers import carried_by
from publishes.api.schemas import PublishRowOut
from publishes.choices import AuthMode, Condition, Environment, Status
from publishes.reading.lists import listing
from tenants.api.callers import actor_of

router = Router(tags=["publishes"])


class Sort(StrEnum):
    """The column that sorts a list; descending with a minus."""

    NEWEST = "-created_at"
    OLDEST = "created_at"
    CHANGED_LAST = "-updated_at"
    CHANGED_FIRST = "updated_at"
    PUBLISHED_LAST = "-published_at"
    PUBLISHED_FIRST = "published_at"
    HOSTNAME = "hostname_base"
    HOSTNAME_DOWN = "-hostname_base"
    PRODUCT = "product"
    PRODUCT_DOWN = "-product"
    CLUSTER = "cluster"
    CLUSTER_DOWN = "-cluster"


_COLUMNS = {"product": "product__name", "cluster": "cluster__name"}


_CONDITIONS = (
    "in_progress, failed (the last thing asked for), drift, waiting (for an agent that is away), "
    "silent (live, and an agent of it is not heard of), or frozen."
)


class PublishFilters(Schema):
    """What the list is narrowed to; all filters apply together."""

    environment: Environment | None = None
    status: Status | None = None
    auth_mode: AuthMode | None = None
    condition: Condition | None = Field(None, description=_CONDITIONS)
    product_id: UUID | None = None
    cluster_id: UUID | None = None
    gateway_id: UUID | None = None
    q: SearchText = Field("", description="Looked for in product, hostname, cluster and gateway.")
    sort: Sort = Sort.NEWEST

    @property
    def filters(self) -> listing.Filters:
        """The same filters as the pages have them."""
        return listing.Filters(
            text=self.q,
            environment=self.environment or "",
            status=self.status or "",
            auth_mode=self.auth_mode or "",
            condition=self.condition or "",
            product=self.product_id,
            cluster=self.cluster_id,
            gateway=self.gateway_id,
        )


@router.get("/product-publishes", response=list[PublishRowOut], summary="All publishes of the workspace")
def list_all_publishes(
    request: HttpRequest, response: HttpResponse, filters: Query[PublishFilters], paging: Query[PageIn]
) -> list[PublishRowOut]:
    """Across products, each with its conditions."""
    rows = listing.with_conditions(listing.matching(actor_of(request), filters.filters))
    page = page_of(request, response, rows=rows.order_by(_order(filters.sort), "pk"), paging=paging)
    carried = carried_by(page)
    return [
        PublishRowOut.of(row, conditions=list(listing.conditions_of(row)), **carried[row.pk]) for row in page
    ]


def _order(sort: Sort) -> OrderBy:
    name = sort.removeprefix("-")
    column = F(_COLUMNS.get(name, name))
    return column.desc(nulls_last=True) if sort.startswith("-") else column.asc(nulls_last=True)
