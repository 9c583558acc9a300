"""The keys of a publish on its page: make one, switch one off. Only the answer that makes a key shows it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods
from django_htmx.http import trigger_client_event

from core.pages.frame import is_htmx
from core.problems import Conflict, NotFound
from publishes.callers import credentials
from publishes.engine import allowed
from publishes.engine.allowed import Action
from publishes.models import ProductPublish
from publishes.pages import publish_page
from publishes.reading.callers import access
from publishes.reading.facts.situation import situation_of
from tenants.actors import Actor
from tenants.doors import actor_page


@require_http_methods(["GET", "POST"])
@never_cache
@actor_page
def make(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """테스트 키 만들기, 바꾸기. GET is the dialog's form as a page, for browsers without script."""
    publish = publish_page.publish_at(actor, product_id, publish_id)
    if request.method == "GET":
        allowed.require(actor, publish, Action.MAKE_TEST_KEY)
        return render(
            request,
            "publishes/keys/index.html",
            _context(actor, publish) | access.auth_context(publish) | {"asks": "make"},
        )
    overlap = credentials.OVERLAP if request.POST.get("overlap") == "on" else timedelta()
    try:
        issued = credentials.issue_test_key(
            actor, publish_id, overlap=overlap, newest_known=request.POST.get("seen")
        )
    except Conflict as problem:
        return _answer(request, _context(actor, publish) | {"problem": problem}, status=409)
    snapshot = publish_page.snapshot_at(actor, product_id, publish_id)
    deployed = publish_page.deployed_of(snapshot.publish)
    call = publish_page.command_of(snapshot, deployed, key=issued.key)
    return _answer(request, _context(actor, publish) | {"issued": issued, "call": call})


@require_GET
@actor_page
def proofs(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """Which agents have proved the keys, fetched again when the history changed. Four queries."""
    try:
        publish = publish_page.publish_at(actor, product_id, publish_id)
    except NotFound:
        return publish_page.answer_deleted(request, actor, product_id, publish_id)
    return render(
        request, "publishes/keys/_reached.html", _context(actor, publish) | access.auth_context(publish)
    )


@require_http_methods(["GET", "POST"])
@never_cache
@actor_page
def switch_off(
    request: HttpRequest, actor: Actor, /, *, product_id: UUID, publish_id: UUID, credential_id: UUID
) -> HttpResponse:
    """키 사용 중지."""
    publish = publish_page.publish_at(actor, product_id, publish_id)
    if request.method == "GET":
        allowed.require(actor, publish, Action.SWITCH_OFF_KEY)
        return render(
            request,
            "publishes/keys/index.html",
            _context(actor, publish) | {"asks": "off", "key": access.active_key(publish, credential_id)},
        )
    try:
        credentials.switch_off(actor, publish_id, credential_id=credential_id)
    except Conflict as problem:
        return _answer(request, _context(actor, publish) | {"problem": problem}, status=problem.status)
    if is_htmx(request):
        return _answer(request, _context(actor, publish))
    return redirect("publishes:detail", product_id, publish_id)


def _context(actor: Actor, publish: ProductPublish) -> dict[str, Any]:
    return {"actor": actor, "publish": publish, "product": publish.product}


def _answer(request: HttpRequest, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """For htmx the section, and the events that make other parts be fetched again; else a page of its own."""
    publish, actor = context["publish"], context["actor"]
    context |= access.auth_context(publish) | {"actions": allowed.permissions(actor, situation_of(publish))}
    if not is_htmx(request):
        return render(request, "publishes/keys/index.html", context, status=status)
    response = render(request, "publishes/keys/_auth.html", context, status=status)
    return trigger_client_event(
        trigger_client_event(response, "live-changed"), "history-changed", after="settle"
    )
