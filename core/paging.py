"""Pages of lists for the JSON API: an array of rows in the body, and the way to the other pages in `Link` and `X-Total-Count`."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model
from django.db.models.query import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Schema
from pydantic import Field

M = TypeVar("M", bound=Model)
PAGE_SIZE, PAGE_SIZE_MAX = 25, 100
NUMBER_MAX = 1_000_000


class PageIn(Schema):
    """Which page of a list, counted from 1."""

    page: int = Field(1, ge=1, le=NUMBER_MAX, description="Counted from 1.")
    page_size: int = Field(PAGE_SIZE, ge=1, le=PAGE_SIZE_MAX, description="Rows per page.")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[M]):
    """Some rows of a list; `total` counts all of them."""

    rows: tuple[M, ...]
    number: int
    size: int
    total: int

    @property
    def last(self) -> int:
        """The number of the last page."""
        return max(1, -(-self.total // self.size))


def page_of(rows: QuerySet[M], which: PageIn) -> Page[M]:
    """One page. One query when it is the last one, two otherwise."""
    start = (which.page - 1) * which.page_size
    found = list(rows[start : start + which.page_size + 1])
    has_all = len(found) <= which.page_size and (found or start == 0)
    total = start + len(found) if has_all else rows.count()
    return Page(rows=tuple(found[: which.page_size]), number=which.page, size=which.page_size, total=total)


def say_where(request: HttpRequest, response: HttpResponse, page: Page[M]) -> None:
    """Put `Link` (first, prev, next, last) and `X-Total-Count` on the answer."""
    numbers = {"first": 1, "prev": min(page.number - 1, page.last), "next": page.number + 1, "last": page.last}
    there = {rel: number for rel, number in numbers.items() if 1 <= number <= page.last}
    response["Link"] = ", ".join(f'<{_url(request, number)}>; rel="{rel}"' for rel, number in there.items())
    response["X-Total-Count"] = str(page.total)


def _url(request: HttpRequest, number: int) -> str:
    query = request.GET.copy()
    query["page"] = str(number)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
