"""Pages and fragments of publishes. A view takes the actor, calls one service, and answers with a fragment or a redirect."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from core.problems import NotFound, Problem
from products.models import Product
from products.selectors import product_of
from publishes import lifecycle, selectors, services, spec
from publishes.choices import Status
from publishes.forms import PublishForm
from publishes.models import Operation, ProductPublish
from tenants.actors import Actor
from tenants.doors import actor_page

POLL_MS = ((2, 100), (10, 250))
POLL_SLOW_MS = 1000


@actor_page
def create(request: HttpRequest, actor: Actor, product_id: UUID) -> HttpResponse:
    """Make a draft: where and how."""
    product = product_of(actor, product_id)
    actor.require_write()
    services.require_active(product)
    form = PublishForm(actor, product, request.POST or None)
    if request.method == "POST" and form.is_valid():
        publish = services.create_publish(actor, product, settings=form.settings())
        messages.success(request, _("The publish was created."))
        return redirect("publishes:detail", product.pk, publish.pk)
    return _form_page(request, product, form)


@actor_page
def edit(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """Change a draft's settings."""
    publish = _publish(actor, product_id, publish_id)
    actor.require_write()
    lifecycle.check_editable(publish)
    form = PublishForm(actor, publish.product, request.POST or None, publish=publish)
    if request.method == "POST" and form.is_valid():
        services.update_publish(actor, publish_id, settings=form.settings())
        messages.success(request, _("The settings were changed."))
        return redirect("publishes:detail", product_id, publish_id)
    return _form_page(request, publish.product, form)


@require_GET
@actor_page
def detail(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """Is it live, since when, on which agents, and what can I do now?"""
    return _detail(request, actor, product_id, publish_id)


@require_GET
@actor_page
def live(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """The status fragment, polled while something is open: 204 when nothing changed since `?seen=`."""
    try:
        now = selectors.live_of(actor, publish_id)
    except NotFound:
        selectors.tombstone_of(actor, publish_id)
        messages.success(request, _("The publish was deleted."))
        return HttpResponseClientRedirect(reverse("products:detail", args=[product_id]))
    context = _live_context(actor, now)
    if request.GET.get("seen") == context["version"]:
        return HttpResponse(status=204)
    return trigger_client_event(render(request, "publishes/_live.html", context), "history-changed")


@require_GET
@actor_page
def history(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """The history fragment."""
    publish = _publish(actor, product_id, publish_id)
    return render(request, "publishes/_history.html", {"publish": publish, "events": selectors.timeline_of(publish)})


@require_POST
@actor_page
def execute(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """배포 실행."""
    return _do(request, actor, (product_id, publish_id), lambda: services.request_publish(actor, publish_id, note=request.POST.get("note", "")))


@require_POST
@actor_page
def withdraw(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """철회."""
    return _do(request, actor, (product_id, publish_id), lambda: services.request_withdraw(actor, publish_id, reason=request.POST.get("reason", "")))


@require_POST
@actor_page
def delete(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """삭제."""
    return _do(request, actor, (product_id, publish_id), lambda: services.request_delete(actor, publish_id))


@require_POST
@actor_page
def retry(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """다시 시도."""
    return _do(request, actor, (product_id, publish_id), lambda: services.retry(actor, publish_id))


def _do(request: HttpRequest, actor: Actor, ids: tuple[UUID, UUID], service: Callable[[], Operation | None]) -> HttpResponse:
    product_id, publish_id = ids
    try:
        service()
    except NotFound:
        raise
    except Problem as problem:
        return _detail(request, actor, product_id, publish_id, problem=problem)
    return redirect("publishes:detail", product_id, publish_id) if _is_there(publish_id) else _gone(request, product_id)


def _is_there(publish_id: UUID) -> bool:
    return ProductPublish.objects.filter(pk=publish_id, deleted_at=None).exists()


def _gone(request: HttpRequest, product_id: UUID) -> HttpResponse:
    messages.success(request, _("The publish was deleted."))
    return redirect("products:detail", product_id)


def _publish(actor: Actor, product_id: UUID, publish_id: UUID) -> ProductPublish:
    publish = selectors.publish_of(actor, publish_id)
    if publish.product_id != product_id:
        raise NotFound
    return publish


def _detail(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID, *, problem: Problem | None = None) -> HttpResponse:
    now = selectors.live_of(actor, publish_id)
    if now.publish.product_id != product_id:
        raise NotFound
    context = _live_context(actor, now) | {"selection": spec.select(now.publish.product), "events": selectors.timeline_of(now.publish), "problem": problem}
    return render(request, "publishes/detail.html", context, status=problem.status if problem else 200)


def _live_context(actor: Actor, now: selectors.Live) -> dict[str, Any]:
    poll_ms = _poll_ms(now)
    return {
        "live": now,
        "publish": now.publish,
        "product": now.publish.product,
        "actor": actor,
        "poll_ms": poll_ms,
        "version": f"{now.version}-{poll_ms}",
        "can_publish": actor.writes and not now.is_asked and now.publish.status in {Status.DRAFT, Status.WITHDRAWN},
        "can_withdraw": actor.writes and not now.is_asked and now.publish.status == Status.PUBLISHED,
        "can_retry": actor.writes and now.has_failed,
    }


def _poll_ms(now: selectors.Live) -> int:
    """How often the browser should ask, by the age of what is open; 0 when nothing is."""
    open_ones = [operation for operation in (now.following, now.operation) if operation is not None and operation.is_open]
    if not open_ones:
        return 0
    age_s = (timezone.now() - open_ones[0].created_at).total_seconds()
    return next((ms for limit_s, ms in POLL_MS if age_s < limit_s), POLL_SLOW_MS)


def _form_page(request: HttpRequest, product: Product, form: PublishForm) -> HttpResponse:
    context = {"product": product, "form": form, "selection": spec.select(product)}
    return render(request, "publishes/form.html", context, status=422 if form.errors else 200)
