"""Idempotency keys: a POST that is sent twice under one key runs once, and both requests get the same answer.

The key's row is committed before the work starts. The POST is one transaction that also stores the answer,
for 24 hours: a process that is killed has done everything, or nothing. A refusal frees the key, because
nothing was done. The body of a `no-store` answer carries a secret, so it is neither stored nor replayed.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from uuid import UUID

import structlog
from django.db import Error, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from ninja import Status
from ninja.responses import NinjaJSONEncoder

from core.models import IdempotencyKey
from core.outages import is_contention
from core.problems import BadRequest, Conflict, Invalid

log = structlog.get_logger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
JSON = "application/json; charset=utf-8"
KEPT_FOR = timedelta(hours=24)
GIVEN_UP_AFTER = timedelta(seconds=90)
"""Longer than any request can run: the process that claimed the key was killed."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS = ("Location", "ETag")


class BadKey(BadRequest):
    """The key is malformed."""

    code = "bad_idempotency_key"
    detail = _("An Idempotency-Key is 1 to 255 visible ASCII characters.")


class KeyInUse(Conflict):
    """Another request with this key is still running."""

    code = "idempotency_in_progress"
    detail = _("A request with this Idempotency-Key is still running. Wait a second, then send it again.")

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Retry-After": "1"}


class KeyOfAnother(Invalid):
    """The key was used for another request."""

    code = "idempotency_key_reused"
    detail = _("This Idempotency-Key was used for another request. Use a new key for each request.")


class ShownOnce(Conflict):
    """The request was done, and its answer contained a secret."""

    code = "shown_once"
    detail = _(
        "This was already done, and the secret in its answer is shown only once. "
        "Check the result; if you lost the secret, create a new one."
    )


View = Callable[..., Any]


def once(view: View, *, scope: Callable[[HttpRequest], tuple[UUID, str]]) -> View:
    """A view whose POST is one transaction that runs once per key.

    `scope` gives the tenant and the role of the key.

    Needs IdempotencyMiddleware. A view that asks other hosts first is marked with `talks_first`.
    """

    @wraps(view)
    def door(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        row = _claimed(request, scope)
        if row is not None and row.status is not None:
            return _replay(row)
        try:
            return work(request, row, *args, **kwargs)
        except OperationalError as problem:
            if not is_contention(problem):
                raise
            log.warning("tried_again", reason=type(problem.__cause__).__name__)
        return work(request, row, *args, **kwargs)

    def work(request: HttpRequest, row: IdempotencyKey | None, *args: Any, **kwargs: Any) -> Any:
        """Run the view in one transaction, which can be repeated when it lost to another one."""
        with ExitStack() as stack:
            request.idempotency, request.work = row, stack  # type: ignore[attr-defined]
            if not getattr(view, "talks_first", False):
                begin(request)
            result = view(request, *args, **kwargs)
            return result if row is None else _store(row, _answer(result, kwargs.get("response")))

    return door


def talks_first(view: View) -> View:
    """Mark a view that asks other hosts before its transaction begins: none may be open while it asks."""
    view.talks_first = True  # type: ignore[attr-defined]
    return view


def begin(request: HttpRequest) -> AbstractContextManager[None]:
    """Begin the transaction of a POST. It ends with the answer, not with the returned block."""
    request.work.enter_context(transaction.atomic())  # type: ignore[attr-defined]
    return nullcontext()


class IdempotencyMiddleware:
    """Frees the key of a request that was refused or failed: nothing was done."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        row: IdempotencyKey | None = getattr(request, "idempotency", None)
        if row is not None and response.status_code >= 300:
            _free(row)
        elif response.status_code < 500 and connection.connection is not None:
            _free_remaining()
        return response


def forget_old_keys() -> None:
    """Delete expired keys; the sweep calls this."""
    IdempotencyKey.objects.filter(expires_at__lt=timezone.now()).delete()


def _claimed(request: HttpRequest, scope: Callable[[HttpRequest], tuple[UUID, str]]) -> IdempotencyKey | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    tenant_id, role = scope(request)
    return _claim(tenant_id, key, fingerprint=_fingerprint(request, role=role))


def _claim(tenant_id: UUID, key: str, *, fingerprint: str) -> IdempotencyKey:
    if not _KEY.fullmatch(key):
        raise BadKey
    _free_remaining()
    now = timezone.now()
    IdempotencyKey.objects.filter(tenant_id=tenant_id, key=key, expires_at__lt=now).delete()
    fresh: dict[str, Any] = {
        "fingerprint": fingerprint,
        "claim": uuid.uuid4(),
        "claimed_at": now,
        "expires_at": now + KEPT_FOR,
    }
    row, is_new = IdempotencyKey.objects.get_or_create(tenant_id=tenant_id, key=key, defaults=fresh)
    if is_new:
        return row
    if row.fingerprint != fingerprint:
        raise KeyOfAnother
    if row.status is None and not _take_over(row, now=now):
        raise KeyInUse
    return row


def _take_over(row: IdempotencyKey, *, now: datetime) -> bool:
    """Take over the key of a killed request. Of several requests at once, one succeeds."""
    mine = uuid.uuid4()
    abandoned = IdempotencyKey.objects.filter(
        pk=row.pk, claim=row.claim, status=None, claimed_at__lte=now - GIVEN_UP_AFTER
    )
    row.claim = mine if abandoned.update(claim=mine, claimed_at=now) else row.claim
    return row.claim == mine


def _replay(row: IdempotencyKey) -> HttpResponse:
    if row.headers.get("Cache-Control"):
        raise ShownOnce
    return HttpResponse(
        row.body, status=row.status, content_type=JSON, headers={**row.headers, REPLAYED: "true"}
    )


def _answer(result: Any, head: HttpResponse | None) -> HttpResponse:
    """The response that ninja would build from the view's result."""
    status, body = (result.status_code, result.value) if isinstance(result, Status) else (200, result)
    answer = HttpResponse(content_type=JSON) if head is None else head
    answer.status_code, answer.content = status, json.dumps(body.model_dump(), cls=NinjaJSONEncoder)
    return answer


def _store(row: IdempotencyKey, answer: HttpResponse) -> HttpResponse:
    """Store the answer in the same transaction.

    Raises KeyInUse, which rolls back, when another try took over.
    """
    if not IdempotencyKey.objects.filter(pk=row.pk, claim=row.claim).update(
        status=answer.status_code, **_stored_answer(answer)
    ):
        raise KeyInUse
    return answer


_not_freed: dict[UUID, UUID] = {}
"""Keys, with this process's claims, that could not be freed because the database was unavailable."""


def _free(row: IdempotencyKey) -> None:
    try:
        _delete(row.pk, row.claim)
    except Error as problem:  # the answer is sent anyway
        _not_freed[row.pk] = row.claim
        log.warning("idempotency_key_not_freed", reason=type(problem).__name__)


def _free_remaining() -> None:
    """Free the keys that remained while the database was unavailable.

    Called where the database is used anyway.
    """
    while _not_freed:
        pk, claim = _not_freed.popitem()
        try:
            _delete(pk, claim)
        except Error:
            _not_freed[pk] = claim
            return


def _delete(pk: UUID, claim: UUID) -> None:
    IdempotencyKey.objects.filter(pk=pk, claim=claim, status=None).delete()


def _stored_answer(response: HttpResponse) -> dict[str, Any]:
    if "no-store" in response.headers.get("Cache-Control", ""):
        return {"body": "", "headers": {"Cache-Control": "no-store"}}
    return {
        "body": response.content.decode(),
        "headers": {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers},
    }


def _fingerprint(request: HttpRequest, *, role: str) -> str:
    parts = (role, request.method or "", request.get_full_path(), hashlib.sha256(request.body).hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
