"""Lists of a page: search text, tabs by status, and both in the URL."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.db.models import Count
from django.db.models.query import QuerySet
from django.http import HttpRequest

from core.pages.searching import search_text, text_filter
from core.problems import Text

PER_PAGE = 25


@dataclass(frozen=True, kw_only=True)
class Tab:
    """A tab above a list. The first tab has no value and shows all rows."""

    value: str
    text: Text
    count: int
    url: str
    is_current: bool


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A page of rows, with its search text and status."""

    page: Page[Any]
    tabs: tuple[Tab, ...]
    text: str
    status: str

    @property
    def query(self) -> str:
        """The query string that a link to another page has to keep."""
        return _query(self.text, self.status)

    @property
    def is_empty(self) -> bool:
        """Whether there are no rows at all, and no search text."""
        return not any(tab.count for tab in self.tabs) and not self.text


def listing(
    request: HttpRequest,
    rows: QuerySet[Any],
    *,
    search: tuple[str, ...],
    statuses: list[tuple[str, Any]],
    every: Text,
    annotated: Callable[[QuerySet[Any]], QuerySet[Any]] = lambda rows: rows,
) -> Listing:
    """Rows filtered by the URL's `q` and `status`, 25 per page, with a counting tab per status. Two queries.

    `annotated` adds the page's annotations after counting: their joins would count rows twice.
    """
    text = search_text(request.GET.get("q", ""))
    status = request.GET.get("status", "")
    status = status if status in dict(statuses) else ""
    rows = rows.filter(text_filter(text, *search))
    counts = dict(rows.order_by().values_list("status").annotate(number=Count("pk")))
    choices = [
        ("", every, sum(counts.values())),
        *((value, name, counts.get(value, 0)) for value, name in statuses),
    ]
    tabs = tuple(
        Tab(value=v, text=name, count=n, url=f"?{_query(text, v)}", is_current=v == status)
        for v, name, n in choices
    )
    shown = rows.filter(status=status) if status else rows
    paginator = Paginator(annotated(shown), PER_PAGE)
    paginator.count = next(tab.count for tab in tabs if tab.is_current)  # counted above
    return Listing(page=paginator.get_page(request.GET.get("page")), tabs=tabs, text=text, status=status)


def _query(text: str, status: str) -> str:
    return urlencode({name: value for name, value in (("q", text), ("status", status)) if value})
