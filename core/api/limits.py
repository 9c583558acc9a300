"""Rate limits over all web processes: requests of a token per minute, and failures per address.

The count is kept in PostgreSQL, so that no answer needs the broker. A process reserves a hundredth of the
limit at a time and spends its share alone: one small statement per sixty requests, and the limit is never
exceeded. The unspent rest of a share is lost.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from core.models import RateWindow
from core.problems import Problem

SHARE = 100
_FORGOTTEN_AFTER = timedelta(minutes=20)
"""Longer than any window of failures."""


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """The requests left in this minute, as far as this process knows."""

    limit: int
    remaining: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        """The RateLimit headers of the answer."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
        }


class TooManyRequests(Problem):
    """The token has used up its requests of this minute."""

    status = 429
    code = "too_many_requests"
    detail = _("This token has made too many requests. Wait for as long as Retry-After says, then go on.")

    def __init__(self, allowance: Allowance) -> None:
        super().__init__()
        self.headers = {**allowance.headers, "Retry-After": str(allowance.reset_s)}


class TooManyFailures(Problem):
    """Too many failures from one address."""

    status = 429
    code = "too_many_failures"
    detail = _("Too many failures from your address. Wait a minute, then try again with the right values.")

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Retry-After": "60"}


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Failures of an unknown caller. After `most` of them in `minutes`, further tries are refused unread."""

    of: str
    most: int
    minutes: int = 1

    def require_few(self) -> None:
        """Raises TooManyFailures. One query."""
        lately = RateWindow.objects.filter(
            token_id=self._id, starts_at__gt=Now() - timedelta(minutes=self.minutes)
        )
        if (lately.aggregate(failed=Sum("taken"))["failed"] or 0) >= self.most:
            raise TooManyFailures

    def count(self) -> None:
        """Count one more failure. One query."""
        _reserve(self._id, limit=self.most)

    @property
    def _id(self) -> UUID:
        return uuid5(NAMESPACE_URL, self.of)


@dataclass(kw_only=True)
class _Share:
    """This process's share of one token's minute; `unreserved` is what no process has taken yet."""

    remaining: int
    unreserved: int
    ends: float


_shares: dict[UUID, _Share] = {}
_lock = threading.Lock()


def take(token_id: UUID, *, limit: int) -> Allowance:
    """Use up one request of this minute.

    Raises TooManyRequests. No query while the process has a share left.
    """
    with _lock:
        share = _shares.get(token_id)
        if share and share.ends > time.monotonic() and (share.remaining or not share.unreserved):
            return _spend(share, limit=limit)
    reserved = _reserve(token_id, limit=limit)
    with _lock:
        for expired_id in [pk for pk, share in _shares.items() if share.ends <= time.monotonic()]:
            del _shares[expired_id]
        if current := _shares.get(token_id):
            reserved.remaining += current.remaining
        _shares[token_id] = reserved
        return _spend(reserved, limit=limit)


def forget_old_windows() -> None:
    """Delete the counts of past minutes; the sweep calls this."""
    RateWindow.objects.filter(starts_at__lt=Now() - _FORGOTTEN_AFTER).delete()


class RateLimitMiddleware:
    """Adds the RateLimit headers to every answer to a token."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        allowance: Allowance | None = getattr(request, "allowance", None)
        for name, value in allowance.headers.items() if allowance else ():
            response.headers.setdefault(name, value)
        return response


def _spend(share: _Share, *, limit: int) -> Allowance:
    reset_s = max(1, math.ceil(share.ends - time.monotonic()))
    if not share.remaining:
        raise TooManyRequests(Allowance(limit=limit, remaining=0, reset_s=reset_s))
    share.remaining -= 1
    return Allowance(limit=limit, remaining=share.remaining + share.unreserved, reset_s=reset_s)


def _reserve(token_id: UUID, *, limit: int) -> _Share:
    requested = max(1, limit // SHARE)
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, {"token": token_id, "requested": requested, "limit": limit})
        reserved, seconds = cursor.fetchone()
    granted = max(0, min(requested, limit - (reserved - requested)))
    return _Share(
        remaining=granted, unreserved=max(0, limit - reserved), ends=time.monotonic() + float(seconds)
    )


_RESERVE = f"""
INSERT INTO {RateWindow._meta.db_table} AS stored (token_id, starts_at, taken)
VALUES (%(token)s, date_trunc('minute', statement_timestamp()), %(requested)s)
ON CONFLICT (token_id, starts_at) DO UPDATE SET taken = least(stored.taken, %(limit)s) + %(requested)s
RETURNING taken, extract(epoch FROM starts_at + interval '1 minute' - statement_timestamp())
"""  # noqa: S608 - the table's name from the model, values as parameters
