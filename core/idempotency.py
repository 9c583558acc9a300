"""The same POST twice under one `Idempotency-Key`: it is done once, and both get the same answer.

The key's row is written before anything is done, and outside of any transaction that does it. What was done (2xx) is kept for 24 hours; a
refusal frees the key, because nothing was done. An answer marked `no-store` carries a secret: its body is not kept, and not said twice.
"""

import hashlib
import re
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.models import IdempotencyKey
from core.problems import BadRequest, Conflict, Invalid

log = structlog.get_logger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEPT = timedelta(hours=24)
GIVEN_UP_AFTER = timedelta(seconds=90)  # longer than any request of ours can run: whoever claimed the key was killed
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS = ("Location", "ETag")


class BadKey(BadRequest):
    """The key cannot be one."""

    code = "bad_idempotency_key"
    detail = _("An Idempotency-Key is 1 to 255 visible ASCII characters.")


class KeyInUse(Conflict):
    """Another request with this key is still being worked on."""

    code = "idempotency_in_progress"
    detail = _("A request with this Idempotency-Key is still being worked on. Wait a second, then send it again.")

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Retry-After": "1"}


class KeyOfAnother(Invalid):
    """The key was used for another request."""

    code = "idempotency_key_reused"
    detail = _("This Idempotency-Key was used for another request. Choose a new key for each thing that you want done.")


class ShownOnce(Conflict):
    """It was done, and its answer held a secret."""

    code = "shown_once"
    detail = _("This was done already, and its answer held a secret that is shown once. Look at what is there; if the secret is lost, make a new one.")


View = Callable[..., Any]


def once(view: View, *, who: Callable[[HttpRequest], tuple[UUID, str]]) -> View:
    """A view that does a POST once per key. `who` gives the tenant, and the role that the key holds for. Needs IdempotencyMiddleware."""

    @wraps(view)
    def door(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        key = request.headers.get(HEADER)
        if request.method != "POST" or key is None:
            return view(request, *args, **kwargs)
        tenant_id, role = who(request)
        row = _claim(tenant_id, key, fingerprint=_fingerprint(request, role=role))
        if row.status is not None:
            return _replay(row)
        request.idempotency = row  # type: ignore[attr-defined]
        return view(request, *args, **kwargs)

    return door


class IdempotencyMiddleware:
    """Keeps the answer of a request that claimed a key, or frees the key when nothing was done."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)  # Django turns what breaks into an answer, so there always is one
        row: IdempotencyKey | None = getattr(request, "idempotency", None)
        if row is not None:
            _finish(row, response)
        return response


def run_key_of(request: HttpRequest) -> UUID | None:
    """An id that is the same for all tries of this request: what is made under it is made once, even when a try was killed half-way."""
    row: IdempotencyKey | None = getattr(request, "idempotency", None)
    return row.pk if row else None


def forget_old_keys() -> None:
    """Drop keys that are over; the sweep calls this."""
    IdempotencyKey.objects.filter(expires_at__lt=timezone.now()).delete()


def _claim(tenant_id: UUID, key: str, *, fingerprint: str) -> IdempotencyKey:
    if not _KEY.fullmatch(key):
        raise BadKey
    now = timezone.now()
    IdempotencyKey.objects.filter(tenant_id=tenant_id, key=key, expires_at__lt=now).delete()
    fresh: dict[str, Any] = {"fingerprint": fingerprint, "claim": uuid.uuid4(), "claimed_at": now, "expires_at": now + KEPT}
    row, is_new = IdempotencyKey.objects.get_or_create(tenant_id=tenant_id, key=key, defaults=fresh)
    if is_new:
        return row
    if row.fingerprint != fingerprint:
        raise KeyOfAnother
    if row.status is None and not _take_over(row, now=now):
        raise KeyInUse
    return row


def _take_over(row: IdempotencyKey, *, now: datetime) -> bool:
    """Whose request was killed or broke is tried again, under the same id; one of several at once does it."""
    mine = uuid.uuid4()
    left = IdempotencyKey.objects.filter(pk=row.pk, claim=row.claim, status=None, claimed_at__lte=now - GIVEN_UP_AFTER)
    row.claim = mine if left.update(claim=mine, claimed_at=now) else row.claim
    return row.claim == mine


def _replay(row: IdempotencyKey) -> HttpResponse:
    if row.headers.get("Cache-Control"):
        raise ShownOnce
    return HttpResponse(row.body, status=row.status, content_type="application/json; charset=utf-8", headers={**row.headers, REPLAYED: "true"})


def _finish(row: IdempotencyKey, response: HttpResponse) -> None:
    mine = IdempotencyKey.objects.filter(pk=row.pk, claim=row.claim)
    try:
        if response.status_code >= 500:  # something may have been done: the next try goes on at once, and makes nothing twice
            mine.update(claimed_at=timezone.now() - GIVEN_UP_AFTER)
        elif response.status_code >= 300:
            mine.delete()
        else:
            mine.update(status=response.status_code, **_kept(response))
    except DatabaseError as problem:  # the answer stands all the same; the key is freed after a while
        log.warning("idempotency_not_kept", reason=type(problem).__name__)


def _kept(response: HttpResponse) -> dict[str, Any]:
    if "no-store" in response.headers.get("Cache-Control", ""):
        return {"body": "", "headers": {"Cache-Control": "no-store"}}
    return {"body": response.content.decode(), "headers": {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}}


def _fingerprint(request: HttpRequest, *, role: str) -> str:
    parts = (role, request.method or "", request.get_full_path(), hashlib.sha256(request.body).hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
