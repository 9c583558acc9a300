"""Pages and fragments of publishes. A view takes the actor, calls one service, and answers with a fragment or a redirect."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.messages.storage.base import BaseStorage
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from agent.protocol.spec import Spec
from core.frame import is_htmx
from core.problems import BadRequest, Forbidden, NotFound, Problem
from products.selectors import product_of
from publishes import curl, lifecycle, selectors, services, spec
from publishes.choices import Status
from publishes.forms import SettingsForm
from publishes.models import Operation, ProductPublish
from tenants.actors import Actor
from tenants.doors import actor_page

POLL_MS = ((2, 100), (10, 250))
POLL_SLOW_MS = 1000
REST_MS = 10_000
LAST_PAGE = 10_000


@require_http_methods(["GET", "POST"])
@actor_page
def edit(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """Change a draft's settings."""
    publish = _publish(actor, product_id, publish_id)
    actor.require_write()
    lifecycle.check_editable(publish)
    form = SettingsForm(request.POST or None, product=publish.product, cluster=publish.cluster, publish=publish)
    if request.method == "POST" and form.is_valid():
        services.update_publish(actor, publish_id, settings=form.settings(gateway=publish.gateway))
        messages.success(request, _("The settings were changed"))
        return redirect("publishes:detail", product_id, publish_id)
    context = {"product": publish.product, "publish": publish, "form": form}
    return render(request, "publishes/wizard/edit.html", context, status=422 if form.errors else 200)


@require_GET
@actor_page
def detail(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """Is it live, since when, on which agents, and what can I do now?"""
    return _detail(request, actor, product_id, publish_id)


@require_GET
@actor_page
def live(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """The status fragment, polled while something is open: 204 when nothing changed since `?seen=`. Two queries."""
    return _fragment(request, actor, product_id, publish_id, template="publishes/_live.html")


@require_GET
@actor_page
def agents(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """The agent board, polled at rest; when more than the clock changed it wakes the status fragment."""
    return _fragment(request, actor, product_id, publish_id, template="publishes/_agents.html")


@require_GET
@actor_page
def history(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """The history fragment."""
    try:
        publish = _publish(actor, product_id, publish_id)
    except NotFound:
        return _lead_away(request, actor, product_id, publish_id)
    context = {"product": publish.product, "publish": publish, "history": selectors.history_of(publish, number=_page_number(request, "page"))}
    return render(request, "publishes/_history.html", context)


@require_GET
@actor_page
def command(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """The ready-made command, fetched anew when the history changed. Three queries."""
    try:
        now = _live(actor, product_id, publish_id)
    except NotFound:
        return _lead_away(request, actor, product_id, publish_id)
    context = {"publish": now.publish, "product": now.publish.product, "curl": _command(now, _deployed(now))}
    return render(request, "publishes/_command.html", context)


@require_GET
@actor_page
def board(request: HttpRequest, actor: Actor, product_id: UUID) -> HttpResponse:
    """배포 현황 alone, polled by the product's page: 204 when nothing changed since `?seen=`. Two queries."""
    product = product_of(actor, product_id)
    now = selectors.board_of(actor, product)
    if request.GET.get("seen") == now.version:
        return HttpResponse(status=204)
    if not is_htmx(request):
        return redirect("products:detail", product_id)
    return render(request, "publishes/_board.html", {"actor": actor, "product": product, "board": now})


@require_http_methods(["GET", "POST"])
@actor_page
def execute(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """배포 실행, 재배포."""
    note = request.POST.get("note", "")
    return _ask_or_do(request, actor, (product_id, publish_id), verb="execute", service=lambda: services.request_publish(actor, publish_id, note=note))


@require_http_methods(["GET", "POST"])
@actor_page
def withdraw(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """철회."""
    reason = request.POST.get("reason", "")
    return _ask_or_do(request, actor, (product_id, publish_id), verb="withdraw", service=lambda: services.request_withdraw(actor, publish_id, reason=reason))


@require_http_methods(["GET", "POST"])
@actor_page
def delete(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """삭제."""
    return _ask_or_do(request, actor, (product_id, publish_id), verb="delete", service=lambda: services.request_delete(actor, publish_id))


@require_http_methods(["GET", "POST"])
@actor_page
def cancel(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """배포 취소. The form names the operation that was seen, so that nobody stops another one by a late click."""
    ids = (product_id, publish_id)
    return _ask_or_do(request, actor, ids, verb="cancel", service=lambda: services.cancel(actor, publish_id, operation_id=_seen_operation(request)))


@require_POST
@actor_page
def retry(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """다시 시도."""
    return _do(request, actor, (product_id, publish_id), verb="", service=lambda: services.retry(actor, publish_id))


def _ask_or_do(request: HttpRequest, actor: Actor, ids: tuple[UUID, UUID], *, verb: str, service: Callable[[], Operation | None]) -> HttpResponse:
    """GET shows the dialog's form as a page, for those without script; POST does it."""
    if request.method == "POST":
        return _do(request, actor, ids, verb=verb, service=service)
    context = _live_context(actor, _live(actor, *ids))
    actor.require_write()
    return render(request, "publishes/confirm.html", context | {"verb": verb}) if context["verbs"][verb] else redirect("publishes:detail", *ids)


def _do(request: HttpRequest, actor: Actor, ids: tuple[UUID, UUID], *, verb: str, service: Callable[[], Operation | None]) -> HttpResponse:
    """Call the service, and answer a script with the status fragment, everybody else with a page."""
    _publish(actor, *ids)
    try:
        service()
    except (NotFound, Forbidden):
        raise
    except Problem as problem:
        return _refused(request, actor, ids, verb=verb, problem=problem)
    if not ProductPublish.objects.filter(pk=ids[1], deleted_at=None).exists():
        return _gone(request, ids[0])
    return _live_fragment(request, _live_context(actor, _live(actor, *ids))) if is_htmx(request) else redirect("publishes:detail", *ids)


def _refused(request: HttpRequest, actor: Actor, ids: tuple[UUID, UUID], *, verb: str, problem: Problem) -> HttpResponse:
    context = _live_context(actor, _live(actor, *ids)) | {"problem": problem, "verb": verb, "typed": request.POST}
    if is_htmx(request):
        return _live_fragment(request, context, status=problem.status)
    if problem.fields and verb:
        return render(request, "publishes/confirm.html", context, status=problem.status)
    return _detail(request, actor, *ids, problem=problem)


def _lead_away(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID, /) -> HttpResponse:
    """A part of a page whose publish was deleted in the meantime leads to the product. Raises NotFound when it never was."""
    selectors.tombstone_of(actor, publish_id)
    return _gone(request, product_id)


def _gone(request: HttpRequest, product_id: UUID) -> HttpResponse:
    _say_once(request, _("The publish was deleted"))
    url = reverse("products:detail", args=[product_id])
    return HttpResponseClientRedirect(url) if is_htmx(request) else redirect(url)


def _say_once(request: HttpRequest, text: str) -> None:
    """A toast for the next page, unless it waits already: a second poll may be here before the page has changed."""
    waiting = messages.get_messages(request)
    if all(message.message != text for message in waiting):
        messages.success(request, text)
    if isinstance(waiting, BaseStorage):
        waiting.used = False


def _fragment(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID, *, template: str) -> HttpResponse:
    try:
        context = _live_context(actor, _live(actor, product_id, publish_id))
    except NotFound:
        return _lead_away(request, actor, product_id, publish_id)
    is_seen = request.GET.get("seen") == context["version"]
    if template == "publishes/_live.html":
        return HttpResponse(status=204) if is_seen else _live_fragment(request, context)
    response = render(request, template, context)
    return response if is_seen else trigger_client_event(response, "live-changed")


def _live_fragment(request: HttpRequest, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Status and, out of band, the board; whoever shows the history is told to fetch it."""
    response = render(request, "publishes/_live.html", context | {"with_board": True}, status=status)
    return trigger_client_event(response, "history-changed", after="settle")


def _publish(actor: Actor, product_id: UUID, publish_id: UUID) -> ProductPublish:
    publish = selectors.publish_of(actor, publish_id)
    if publish.product_id != product_id:
        raise NotFound
    return publish


def _live(actor: Actor, product_id: UUID, publish_id: UUID) -> selectors.Live:
    now = selectors.live_of(actor, publish_id)
    if now.publish.product_id != product_id:
        raise NotFound
    return now


def _detail(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID, *, problem: Problem | None = None) -> HttpResponse:
    now = _live(actor, product_id, publish_id)
    selection = spec.select(now.publish.product)
    deployed = _deployed(now)
    carried = deployed.services if deployed else spec.services_of(selection)
    context = _live_context(actor, now) | {
        "services": carried,
        "left_out": selection.left_out,
        "has_moved_on": deployed is not None and carried != spec.services_of(selection),
        "listeners": now.publish.gateway.listeners.all(),
        "history": selectors.history_of(now.publish, number=_page_number(request, "history")),
        "curl": _command(now, deployed),
        "problem": problem,
    }
    return render(request, "publishes/detail.html", context, status=problem.status if problem else 200)


def _deployed(now: selectors.Live) -> Spec | None:
    return selectors.deployed_spec_of(now.publish) if now.publish.status == Status.PUBLISHED else None


def _command(now: selectors.Live, deployed: Spec | None) -> str:
    return curl.command(now, deployed.services) if deployed else ""


def _page_number(request: HttpRequest, name: str) -> int:
    number = request.GET.get(name, "")
    return int(number) if number.isdecimal() and 0 < int(number) <= LAST_PAGE else 1


def _live_context(actor: Actor, now: selectors.Live) -> dict[str, Any]:
    poll_ms = _poll_ms(now)
    writes = actor.writes and now.publish.frozen_at is None
    may = writes and not now.is_asked
    can_publish = may and now.publish.status in {Status.DRAFT, Status.WITHDRAWN}
    return {
        "live": now,
        "publish": now.publish,
        "product": now.publish.product,
        "actor": actor,
        "poll_ms": poll_ms,
        "rest_ms": REST_MS,
        "version": f"{now.version}-{poll_ms}",
        "verbs": {
            "execute": can_publish,
            "delete": can_publish,
            "withdraw": may and now.publish.status == Status.PUBLISHED,
            "cancel": actor.writes and now.is_cancellable,
        },
        "can_edit": may and now.publish.status == Status.DRAFT,
        "can_retry": writes and now.has_failed,
    }


def _seen_operation(request: HttpRequest) -> UUID:
    try:
        return UUID(request.POST.get("operation", ""))
    except ValueError as problem:
        raise BadRequest from problem


def _poll_ms(now: selectors.Live) -> int:
    """How often the browser should ask, by the age of what is open; 0 when nothing is."""
    open_ones = [operation for operation in (now.following, now.operation) if operation is not None and operation.is_open]
    if not open_ones:
        return 0
    age_s = (timezone.now() - open_ones[0].created_at).total_seconds()
    return next((ms for limit_s, ms in POLL_MS if age_s < limit_s), POLL_SLOW_MS)
