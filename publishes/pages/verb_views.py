"""The verbs of a publish: GET shows the form as a page (without script), POST calls one service."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from core.pages.frame import is_htmx
from core.problems import BadRequest, Forbidden, NotFound, Problem
from publishes.engine.allowed import Action
from publishes.models import Operation, ProductPublish
from publishes.pages import publish_page
from publishes.verbs import cancelling, deleting, publishing, retrying, withdrawing
from tenants.actors import Actor
from tenants.doors import actor_page

_ACTIONS = {
    "execute": Action.PUBLISH,
    "withdraw": Action.WITHDRAW,
    "delete": Action.DELETE,
    "cancel": Action.CANCEL,
    "retry": Action.RETRY,
}
"""The name of a verb on the pages, and its action."""


@require_http_methods(["GET", "POST"])
@actor_page
def execute(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """배포 실행, 재배포."""
    note = request.POST.get("note", "")
    return _confirm_or_do(
        request,
        actor,
        (product_id, publish_id),
        verb="execute",
        service=lambda: publishing.request_publish(actor, publish_id, note=note),
    )


@require_http_methods(["GET", "POST"])
@actor_page
def withdraw(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """철회."""
    reason = request.POST.get("reason", "")
    return _confirm_or_do(
        request,
        actor,
        (product_id, publish_id),
        verb="withdraw",
        service=lambda: withdrawing.request_withdraw(actor, publish_id, reason=reason),
    )


@require_http_methods(["GET", "POST"])
@actor_page
def delete(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """삭제."""
    return _confirm_or_do(
        request,
        actor,
        (product_id, publish_id),
        verb="delete",
        service=lambda: deleting.request_delete(actor, publish_id),
    )


@require_http_methods(["GET", "POST"])
@actor_page
def cancel(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """배포 취소. The form names the operation that it showed, so that a late click stops no other one."""
    ids = (product_id, publish_id)
    return _confirm_or_do(
        request,
        actor,
        ids,
        verb="cancel",
        service=lambda: cancelling.cancel(actor, publish_id, operation_id=_shown_operation_id(request)),
    )


@require_http_methods(["GET", "POST"])
@actor_page
def retry(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """다시 시도. It has no form, so GET leads to the page with the button."""
    if request.method == "GET":
        publish_page.publish_at(actor, product_id, publish_id)
        actor.require_write()
        return redirect("publishes:detail", product_id, publish_id)
    return _do(
        request,
        actor,
        (product_id, publish_id),
        verb="retry",
        service=lambda: retrying.retry(actor, publish_id),
    )


def _confirm_or_do(
    request: HttpRequest,
    actor: Actor,
    ids: tuple[UUID, UUID],
    *,
    verb: str,
    service: Callable[[], Operation | None],
) -> HttpResponse:
    """GET shows the form as a page, for browsers without script; POST calls the service."""
    if request.method == "POST":
        return _do(request, actor, ids, verb=verb, service=service)
    context = _status(actor, ids)
    actor.require_write()
    if not context["actions"][_ACTIONS[verb]].is_allowed:
        return redirect("publishes:detail", *ids)
    return render(request, "publishes/publish/confirm.html", context | {"verb": verb})


def _do(
    request: HttpRequest,
    actor: Actor,
    ids: tuple[UUID, UUID],
    *,
    verb: str,
    service: Callable[[], Operation | None],
) -> HttpResponse:
    """Call the service; the answer is the status fragment for htmx, else a page."""
    publish_page.publish_at(actor, *ids)
    try:
        service()
    except (NotFound, Forbidden):
        raise
    except Problem as problem:
        return _refused(request, actor, ids, verb=verb, problem=problem)
    if not ProductPublish.objects.filter(pk=ids[1], deleted_at=None).exists():
        return publish_page.to_product(request, ids[0])
    if not is_htmx(request):
        return redirect("publishes:detail", *ids)
    return publish_page.status_fragment(request, _status(actor, ids))


def _refused(
    request: HttpRequest, actor: Actor, ids: tuple[UUID, UUID], *, verb: str, problem: Problem
) -> HttpResponse:
    context = _status(actor, ids) | {"problem": problem, "verb": verb, "typed": request.POST}
    # A refusal of a field is shown by the form.
    context["is_form_open"] = bool(problem.fields) and context["actions"][_ACTIONS[verb]].is_allowed
    if is_htmx(request):
        return publish_page.status_fragment(request, context, status=problem.status)
    if context["is_form_open"]:
        return render(request, "publishes/publish/confirm.html", context, status=problem.status)
    return publish_page.detail_page(request, actor, *ids, problem=problem)


def _status(actor: Actor, ids: tuple[UUID, UUID]) -> dict[str, Any]:
    return publish_page.status_context(actor, publish_page.snapshot_at(actor, *ids))


def _shown_operation_id(request: HttpRequest) -> UUID:
    try:
        return UUID(request.POST.get("operation", ""))
    except ValueError as problem:
        raise BadRequest from problem
