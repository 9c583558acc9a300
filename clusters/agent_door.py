"""The door of agents: a request is signed and used once; the answer is sealed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from pydantic import ValidationError

from agent.protocol.messages import EnrolAnswer, EnrolRequest
from agent.protocol.signing import (
    CONTROL_PLANE,
    SKEW_S,
    ClockRefused,
    Key,
    Opened,
    Purpose,
    SignatureRefused,
    check_request,
    import_key,
    issuer_of,
    key_id,
    seal,
)
from agent.protocol.spec import Wire
from clusters import agent_keys, keys, liveness, services
from clusters.errors import AgentRefused, EnrolmentRefused
from clusters.models import Agent, AgentKey, UsedRequest
from core.api import limits
from core.problems import Invalid
from tenants.people.sign_in_rules import address_of

ENROLMENT = "enrolment"
PLACE_MAX = 100
"""Longest name of a field in a refusal: the sender chooses the names inside a key."""
W = TypeVar("W", bound=Wire)


def agent_door(
    schema: type[W],
) -> Callable[[Callable[[Agent, W], Wire]], Callable[[HttpRequest], HttpResponse]]:
    """A view for agents: it gets the authenticated agent and the parsed message; its answer is sealed."""

    def decorate(view: Callable[[Agent, W], Wire]) -> Callable[[HttpRequest], HttpResponse]:
        @csrf_exempt
        @require_POST
        @wraps(view)
        def door(request: HttpRequest) -> HttpResponse:
            agent, opened = _authenticate(request)
            message = _parse(schema, request.body)
            return _sealed(view(agent, message), audience=str(agent.pk), answers=opened.id)

        return door

    return decorate


@csrf_exempt
@require_POST
def enroll(request: HttpRequest) -> HttpResponse:
    """Use a one-time code. The request is signed with its own new key, which proves possession."""
    message = _parse(EnrolRequest, request.body)
    try:
        opened = _check(request, [import_key(message.public_key)])
    except SignatureRefused as problem:
        raise AgentRefused(str(problem)) from problem
    agent = _enrolled(message, address=address_of(request) or "")
    answer = EnrolAnswer(
        agent_id=agent.pk, name=agent.name, cluster=agent.cluster.name, control_plane_keys=keys.pinned_keys()
    )
    return _sealed(answer, audience=ENROLMENT, answers=opened.id)


def _enrolled(message: EnrolRequest, *, address: str) -> Agent:
    """Enrol; count bad codes per address. Raises TooManyFailures."""
    failures = limits.Failures(of=f"enrolment {address}", most=services.FAILURES_A_MINUTE)
    failures.require_few()
    try:
        return services.enrol(message)
    except EnrolmentRefused:
        failures.count()
        raise


def _authenticate(request: HttpRequest) -> tuple[Agent, Opened]:
    rows = (
        AgentKey.objects.accepted()
        .filter(agent_id=_claimed_agent(request), agent__blocked_at=None)
        .select_related("agent__cluster")
    )
    candidates = {key_id(key): (key, row) for row in rows for key in [import_key(row.public_jwk)]}
    try:
        opened = _check(request, [key for key, _row in candidates.values()])
    except SignatureRefused as problem:
        if isinstance(
            problem, ClockRefused
        ):  # the signature is right, so operators should see the wrong clock
            liveness.record_refusal(next(row.agent for _key, row in candidates.values()), str(problem))
        raise AgentRefused(str(problem)) from problem
    _use_once(opened)
    row = candidates[opened.key][1]
    if row.used_at is None:
        agent_keys.take_into_use(row)
    return row.agent, opened


def _claimed_agent(request: HttpRequest) -> UUID:
    try:
        return UUID(issuer_of(_token(request)))
    except ValueError as problem:
        raise AgentRefused from problem


def _check(request: HttpRequest, candidates: list[Key]) -> Opened:
    url = settings.PUBLIC_URL + request.path
    return check_request(_token(request), candidates, method=request.method or "", url=url, body=request.body)


def _token(request: HttpRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Imp" else ""


def _use_once(opened: Opened) -> None:
    forget_at = datetime.fromtimestamp(opened.expires_at, tz=UTC) + timedelta(seconds=SKEW_S)
    try:
        with transaction.atomic():
            UsedRequest.objects.create(id=UUID(opened.id), expires_at=forget_at)
    except (IntegrityError, ValueError) as problem:
        raise AgentRefused("This request was already accepted; each request is accepted once.") from problem


def _parse(schema: type[W], body: bytes) -> W:
    try:
        return schema.model_validate_json(body)
    except ValidationError as problem:
        paths = [".".join(str(part) for part in error["loc"]) for error in problem.errors()[:5]]
        places = ", ".join(path[:PLACE_MAX] or "body" for path in paths)
        raise Invalid(
            f"The message is not a valid {schema.__name__}: see {places}.", code="malformed"
        ) from problem


def _sealed(answer: Wire, *, audience: str, answers: str) -> HttpResponse:
    sealed = seal(
        keys.signing_key(),
        answer.model_dump_json(),
        purpose=Purpose.ANSWER,
        issuer=CONTROL_PLANE,
        audience=audience,
        answers=answers,
    )
    return HttpResponse(sealed.token, content_type="application/jose")
