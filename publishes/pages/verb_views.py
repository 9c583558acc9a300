"""The verbs of a publish: a dialog's form as a page for those without script, and doing it. A view calls one service."""

from collections.abc import Callable
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
"""What the pages call a verb, and the action that it is."""


@require_http_methods(["GET", "POST"])
@actor_page
def execute(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """배포 실행, 재배포."""
    note = request.POST.get("note", "")
    return _ask_or_do(
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
    return _ask_or_do(
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
    return _ask_or_do(
        request,
        actor,
        (product_id, publish_id),
        verb="delete",
        service=lambda: deleting.request_delete(actor, publish_id),
    )


@require_http_methods(["GET", "POST"])
@actor_page
def cancel(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """배포 취소. The form names the operation that was seen, so that nobody stops another one by a late click."""
    ids = (product_id, publish_id)
    return _ask_or_do(
        request,
        actor,
        ids,
        verb="cancel",
        service=lambda: cancelling.cancel(actor, publish_id, operation_id=_seen_operation(request)),
    )


@require_http_methods(["GET", "POST"])
@actor_page
def retry(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """다시 시도. There is nothing to ask first, so GET leads to the page with the button."""
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


def _ask_or_do(
    request: HttpRequest,
    actor: Actor,
    ids: tuple[UUID, UUID],
    *,
    verb: str,
    service: Callable[[], Operation | None],
) -> HttpResponse:
    """GET shows the dialog's form as a page, for those without script; POST does it."""
    if request.method == "POST":
        return _do(request, actor, ids, verb=verb, service=service)
    context = publish_page.live_context(actor, publish_page.live_at(actor, *ids))
    actor.require_write()
    return (
        render(request, "publishes/publish/confirm.html", context | {"verb": verb})
        if context["actions"][_ACTIONS[verb]].is_allowed
        else redirect("publishes:detail", *ids)
    )


def _do(
    request: HttpRequest,
    actor: Actor,
    ids: tuple[UUID, UUID],
    *,
    verb: str,
    service: Callable[[], Operation | None],
) -> HttpResponse:
    """Call the service, and answer a script with the status fragment, everybody else with a page."""
    publish_page.publish_at(actor, *ids)
    try:
        service()
    except (NotFound, Forbidden):
        raise
    except Problem as problem:
        return _refused(request, actor, ids, verb=verb, problem=problem)
    if not ProductPublish.objects.filter(pk=ids[1], deleted_at=None).exists():
        return publish_page.gone(request, ids[0])
    return (
        publish_page.live_fragment(
            request, publish_page.live_context(actor, publish_page.live_at(actor, *ids))
        )
        if is_htmx(request)
        else redirect("publishes:detail", *ids)
    )


def _refused(
    request: HttpRequest, actor: Actor, ids: tuple[UUID, UUID], *, verb: str, problem: Problem
) -> HttpResponse:
    context = publish_page.live_context(actor, publish_page.live_at(actor, *ids)) | {
        "problem": problem,
        "verb": verb,
        "typed": request.POST,
    }
    # Then the form says what is wrong.
    context["is_asked_again"] = bool(problem.fields) and context["actions"][_ACTIONS[verb]].is_allowed
    if is_htmx(request):
        return publish_page.live_fragment(request, context, status=problem.status)
    if context["is_asked_again"]:
        return render(request, "publishes/publish/confirm.html", context, status=problem.status)
    return publish_page.detail_page(request, actor, *ids, problem=problem)


def _seen_operation(request: HttpRequest) -> UUID:
    try:
        return UUID(request.POST.get("operation", ""))
    except ValueError as problem:
        raise BadRequest from problem
