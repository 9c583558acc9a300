"""How many requests a token may make in a minute, and how often something may fail, over all web processes together.

The count stands in PostgreSQL, so that no answer needs the broker. A process takes a hundredth of the limit at once and spends it by
itself: one small statement per sixty requests, and the limit is never exceeded. What a process took and did not spend is lost.
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
_FORGOTTEN_AFTER = timedelta(minutes=20)  # longer than failures are counted for


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What is left of this minute, as far as this process knows."""

    limit: int
    remaining: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        """As the answer says it."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
        }


class TooManyRequests(Problem):
    """The token has used up its minute."""

    status = 429
    code = "too_many_requests"
    detail = _("This token has made too many requests. Wait for as long as Retry-After says, then go on.")

    def __init__(self, allowance: Allowance) -> None:
        super().__init__()
        self.headers = {**allowance.headers, "Retry-After": str(allowance.reset_s)}


class TooManyFailures(Problem):
    """It failed too often from this address."""

    status = 429
    code = "too_many_failures"
    detail = _(
        "This failed too often from your address. Wait a minute, then try again with what you know to be right."
    )

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Retry-After": "60"}


@dataclass(frozen=True, kw_only=True)
class Failures:
    """What fails for somebody who is not known, counted: so often in so many minutes, then it is refused before it is looked at."""

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
        """It failed once more. One query."""
        _reserve(self._id, limit=self.most)

    @property
    def _id(self) -> UUID:
        return uuid5(NAMESPACE_URL, self.of)


@dataclass(kw_only=True)
class _Share:
    """What this process holds of one token's minute; `others` is what nobody has taken yet."""

    left: int
    others: int
    ends: float


_shares: dict[UUID, _Share] = {}
_lock = threading.Lock()


def take(token_id: UUID, *, limit: int) -> Allowance:
    """Use up one request of this minute. Raises TooManyRequests. No query while the process holds a share."""
    with _lock:
        share = _shares.get(token_id)
        if share and share.ends > time.monotonic() and (share.left or not share.others):
            return _spend(share, limit=limit)
    reserved = _reserve(token_id, limit=limit)
    with _lock:
        for gone in [known for known, share in _shares.items() if share.ends <= time.monotonic()]:
            del _shares[gone]
        if held := _shares.get(token_id):
            reserved.left += held.left
        _shares[token_id] = reserved
        return _spend(reserved, limit=limit)


def forget_old_windows() -> None:
    """Drop counts of minutes that are over; the sweep calls this."""
    RateWindow.objects.filter(starts_at__lt=Now() - _FORGOTTEN_AFTER).delete()


class RateLimitMiddleware:
    """Says on every answer to a token how much is left."""

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
    if not share.left:
        raise TooManyRequests(Allowance(limit=limit, remaining=0, reset_s=reset_s))
    share.left -= 1
    return Allowance(limit=limit, remaining=share.left + share.others, reset_s=reset_s)


def _reserve(token_id: UUID, *, limit: int) -> _Share:
    wanted = max(1, limit // SHARE)
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, {"token": token_id, "wanted": wanted, "limit": limit})
        taken, seconds = cursor.fetchone()
    got = max(0, min(wanted, limit - (taken - wanted)))
    return _Share(left=got, others=max(0, limit - taken), ends=time.monotonic() + float(seconds))


_RESERVE = f"""
INSERT INTO {RateWindow._meta.db_table} AS held (token_id, starts_at, taken) VALUES (%(token)s, date_trunc('minute', statement_timestamp()), %(wanted)s)
ON CONFLICT (token_id, starts_at) DO UPDATE SET taken = least(held.taken, %(limit)s) + %(wanted)s
RETURNING taken, extract(epoch FROM starts_at + interval '1 minute' - statement_timestamp())
"""  # noqa: S608 - the table's name from the model, values as parameters
