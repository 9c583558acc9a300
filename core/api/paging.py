"""Paging of the JSON API: the body is an array of rows; `Link` and `X-Total-Count` describe the pages."""

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


def page_of(request: HttpRequest, response: HttpResponse, *, rows: QuerySet[M], paging: PageIn) -> list[M]:
    """The rows of one page; sets `Link` and `X-Total-Count`.

    One query for the last page, two for any other.
    """
    start = (paging.page - 1) * paging.page_size
    page = list(rows[start : start + paging.page_size + 1])
    has_all = len(page) <= paging.page_size and (page or start == 0)
    total = start + len(page) if has_all else rows.count()
    _set_page_headers(request, response, paging=paging, total=total)
    return page[: paging.page_size]


def _set_page_headers(request: HttpRequest, response: HttpResponse, *, paging: PageIn, total: int) -> None:
    last = max(1, -(-total // paging.page_size))
    numbers = {"first": 1, "prev": min(paging.page - 1, last), "next": paging.page + 1, "last": last}
    pages = {rel: number for rel, number in numbers.items() if 1 <= number <= last}
    response["Link"] = ", ".join(f'<{_url(request, number)}>; rel="{rel}"' for rel, number in pages.items())
    response["X-Total-Count"] = str(total)


def _url(request: HttpRequest, number: int) -> str:
    query = request.GET.copy()
    query["page"] = str(number)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
