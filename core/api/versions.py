"""Optimistic locks of the API: a revision goes out as `ETag` and comes in as `If-Match`; PUT merges."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Annotated, ParamSpec, TypeVar

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Header

from core.problems import ChangedMeanwhile
from core.records import Edited

A = ParamSpec("A")
T = TypeVar("T")
R = TypeVar("R", bound=Edited)
TRIES = 10
"""How often a change is made when others were faster each time."""

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match", description="The ETag that you last saw; 412 when somebody has edited it since."
    ),
]


def etag_of(record: Edited) -> str:
    """The revision as a strong entity tag, `"3"`: another one after each edit, and after nothing else."""
    return f'"{record.revision}"'


def mark(response: HttpResponse, record: R) -> R:
    """Put the record's ETag on the answer."""
    response["ETag"] = etag_of(record)
    return record


def mark_new(request: HttpRequest, response: HttpResponse, record: R, *, at: str) -> R:
    """As `mark`, for an answer that created the record: with its URL as well (`at` is that URL's name)."""
    response["Location"] = request.build_absolute_uri(reverse(at, args=[record.pk]))
    return mark(response, record)


def require_match(record: Edited, if_match: str | None) -> None:
    """Raises ChangedMeanwhile when `If-Match` names revisions and the current one is not among them.

    `*` and a missing header match any revision.
    """
    if _names_revisions(if_match) and etag_of(record) not in {
        part.strip() for part in str(if_match).split(",")
    }:
        raise ChangedMeanwhile


def merging(view: Callable[A, T]) -> Callable[A, T]:
    """A PUT that keeps omitted fields: read, merge, and write under the optimistic lock.

    When somebody else was faster, the PUT is tried again on the new revision; with `If-Match` it is refused.
    """

    @wraps(view)
    def put(*args: A.args, **kwargs: A.kwargs) -> T:
        if not _names_revisions(kwargs.get("if_match")):
            for _try in range(TRIES - 1):
                with suppress(ChangedMeanwhile):
                    return view(*args, **kwargs)
        return view(*args, **kwargs)

    return put


def _names_revisions(if_match: object) -> bool:
    return isinstance(if_match, str) and if_match.strip() != "*"
