"""Pages of lists for the JSON API: an array of rows in the body, and the way to the other pages in `Link` and `X-Total-Count`."""

from typing import TypeVar

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


def page_of(request: HttpRequest, response: HttpResponse, *, rows: QuerySet[M], which: PageIn) -> list[M]:
    """The rows of one page; `Link` and `X-Total-Count` on the answer say where the others are. One query for the last page, two otherwise."""
    start = (which.page - 1) * which.page_size
    found = list(rows[start : start + which.page_size + 1])
    has_all = len(found) <= which.page_size and (found or start == 0)
    total = start + len(found) if has_all else rows.count()
    _say_where(request, response, which=which, total=total)
    return found[: which.page_size]


def _say_where(request: HttpRequest, response: HttpResponse, *, which: PageIn, total: int) -> None:
    last = max(1, -(-total // which.page_size))
    numbers = {"first": 1, "prev": min(which.page - 1, last), "next": which.page + 1, "last": last}
    there = {rel: number for rel, number in numbers.items() if 1 <= number <= last}
    response["Link"] = ", ".join(f'<{_url(request, number)}>; rel="{rel}"' for rel, number in there.items())
    response["X-Total-Count"] = str(total)


def _url(request: HttpRequest, number: int) -> str:
    query = request.GET.copy()
    query["page"] = str(number)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
