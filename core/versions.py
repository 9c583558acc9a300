"""Which version of a record somebody has seen: `ETag` on the way out, `If-Match` on the way in. The caller holds the record's lock."""

from typing import Annotated, TypeVar

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Header

from core.problems import ChangedMeanwhile
from core.records import Record

R = TypeVar("R", bound=Record)
IfMatch = Annotated[str | None, Header(alias="If-Match", description="The ETag that you last saw; 412 when it is another by now.")]


def etag_of(record: Record) -> str:
    """Changes whenever the record is saved."""
    return f'"{record.pk.hex[:8]}-{round(record.updated_at.timestamp() * 1_000_000):x}"'


def mark(response: HttpResponse, record: R) -> R:
    """Put the record's ETag on the answer."""
    response["ETag"] = etag_of(record)
    return record


def mark_new(request: HttpRequest, response: HttpResponse, record: R, *, at: str) -> R:
    """The same for an answer that made the record, with its own URL (`at` is that URL's name)."""
    response["Location"] = request.build_absolute_uri(reverse(at, args=[record.pk]))
    return mark(response, record)


def require_match(record: Record, if_match: str | None) -> None:
    """Raises ChangedMeanwhile when the caller names versions (`If-Match`) and this is none of them. `*` and nothing at all match anything."""
    if if_match is None or if_match.strip() == "*":
        return
    if etag_of(record) not in {part.strip() for part in if_match.split(",")}:
        raise ChangedMeanwhile
