"""The same POST twice under one `Idempotency-Key`: it is done once, and both get the same answer.

The key's row is committed before anything is done. A POST is one transaction, and its answer is kept in it, for 24 hours: whoever is killed has
done all and said so, or nothing. A refusal frees the key, because nothing was done. An answer marked `no-store` carries a secret: its body
is not kept, and not said twice.
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
KEPT = timedelta(hours=24)
GIVEN_UP_AFTER = timedelta(
    seconds=90
)  # longer than any request of ours can run: whoever claimed the key was killed
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS = ("Location", "ETag")


class BadKey(BadRequest):
    """The key cannot be one."""

    code = "bad_idempotency_key"
    detail = _("An Idempotency-Key is 1 to 255 visible ASCII characters.")


class KeyInUse(Conflict):
    """Another request with this key is still being worked on."""

    code = "idempotency_in_progress"
    detail = _(
        "A request with this Idempotency-Key is still being worked on. Wait a second, then send it again."
    )

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Retry-After": "1"}


class KeyOfAnother(Invalid):
    """The key was used for another request."""

    code = "idempotency_key_reused"
    detail = _(
        "This Idempotency-Key was used for another request. Choose a new key for each thing that you want done."
    )


class ShownOnce(Conflict):
    """It was done, and its answer held a secret."""

    code = "shown_once"
    detail = _(
        "This was done already, and its answer held a secret that is shown once. Look at what is there; if the secret is lost, make a new one."
    )


View = Callable[..., Any]


def once(view: View, *, who: Callable[[HttpRequest], tuple[UUID, str]]) -> View:
    """A view whose POST is one transaction, and is done once per key. `who` gives the tenant, and the role that the key holds for.

    Needs IdempotencyMiddleware. A view that talks to other hosts first says so by `talks_first`.
    """

    @wraps(view)
    def door(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        row = _claimed(request, who)
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
        """All of it is one transaction: one that lost to another has done nothing, and may be tried once more."""
        with ExitStack() as stack:
            request.idempotency, request.work = row, stack  # type: ignore[attr-defined]
            if not getattr(view, "talks_first", False):
                begin(request)
            told = view(request, *args, **kwargs)
            return told if row is None else _keep(row, _answer(told, kwargs.get("response")))

    return door


def talks_first(view: View) -> View:
    """A view that asks other hosts before it begins its work, because no transaction may be open while it does."""
    view.talks_first = True  # type: ignore[attr-defined]
    return view


def begin(request: HttpRequest) -> AbstractContextManager[None]:
    """Begin the transaction of a POST, which ends with its answer and not with the block that is given back."""
    request.work.enter_context(transaction.atomic())  # type: ignore[attr-defined]
    return nullcontext()


class IdempotencyMiddleware:
    """Frees the key of a request that was refused or broke: nothing was done."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(
            request
        )  # Django turns what breaks into an answer, so there always is one
        row: IdempotencyKey | None = getattr(request, "idempotency", None)
        if row is not None and response.status_code >= 300:
            _free(row)
        elif response.status_code < 500 and connection.connection is not None:
            _free_others()
        return response


def forget_old_keys() -> None:
    """Drop keys that are over; the sweep calls this."""
    IdempotencyKey.objects.filter(expires_at__lt=timezone.now()).delete()


def _claimed(request: HttpRequest, who: Callable[[HttpRequest], tuple[UUID, str]]) -> IdempotencyKey | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    tenant_id, role = who(request)
    return _claim(tenant_id, key, fingerprint=_fingerprint(request, role=role))


def _claim(tenant_id: UUID, key: str, *, fingerprint: str) -> IdempotencyKey:
    if not _KEY.fullmatch(key):
        raise BadKey
    _free_others()
    now = timezone.now()
    IdempotencyKey.objects.filter(tenant_id=tenant_id, key=key, expires_at__lt=now).delete()
    fresh: dict[str, Any] = {
        "fingerprint": fingerprint,
        "claim": uuid.uuid4(),
        "claimed_at": now,
        "expires_at": now + KEPT,
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
    """Whose request was killed is tried again; one of several at once does it."""
    mine = uuid.uuid4()
    left = IdempotencyKey.objects.filter(
        pk=row.pk, claim=row.claim, status=None, claimed_at__lte=now - GIVEN_UP_AFTER
    )
    row.claim = mine if left.update(claim=mine, claimed_at=now) else row.claim
    return row.claim == mine


def _replay(row: IdempotencyKey) -> HttpResponse:
    if row.headers.get("Cache-Control"):
        raise ShownOnce
    return HttpResponse(
        row.body, status=row.status, content_type=JSON, headers={**row.headers, REPLAYED: "true"}
    )


def _answer(told: Any, head: HttpResponse | None) -> HttpResponse:
    """What ninja would make of what a view returns."""
    status, body = (told.status_code, told.value) if isinstance(told, Status) else (200, told)
    answer = HttpResponse(content_type=JSON) if head is None else head
    answer.status_code, answer.content = status, json.dumps(body.model_dump(), cls=NinjaJSONEncoder)
    return answer


def _keep(row: IdempotencyKey, answer: HttpResponse) -> HttpResponse:
    """Keep the answer with what was done. Raises KeyInUse, so that nothing was done, when another try has taken over."""
    if not IdempotencyKey.objects.filter(pk=row.pk, claim=row.claim).update(
        status=answer.status_code, **_kept(answer)
    ):
        raise KeyInUse
    return answer


_not_freed: dict[UUID, UUID] = {}
"""Keys, and this process's claims on them, whose requests met a database that was away; they are freed as soon as it is back."""


def _free(row: IdempotencyKey) -> None:
    try:
        _delete(row.pk, row.claim)
    except Error as problem:  # the answer stands all the same
        _not_freed[row.pk] = row.claim
        log.warning("idempotency_key_not_freed", reason=type(problem).__name__)


def _free_others() -> None:
    """Free what could not be freed while the database was away. To be called where it is in use anyway."""
    while _not_freed:
        pk, claim = _not_freed.popitem()
        try:
            _delete(pk, claim)
        except Error:
            _not_freed[pk] = claim
            return


def _delete(pk: UUID, claim: UUID) -> None:
    IdempotencyKey.objects.filter(pk=pk, claim=claim, status=None).delete()


def _kept(response: HttpResponse) -> dict[str, Any]:
    if "no-store" in response.headers.get("Cache-Control", ""):
        return {"body": "", "headers": {"Cache-Control": "no-store"}}
    return {
        "body": response.content.decode(),
        "headers": {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers},
    }


def _fingerprint(request: HttpRequest, *, role: str) -> str:
    parts = (role, request.method or "", request.get_full_path(), hashlib.sha256(request.body).hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
