"""The page of a publish, its fragments, and the settings of a draft."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods
from django_htmx.http import trigger_client_event

from core.pages.live import part
from core.pages.saving import Attempt, attempt
from core.problems import NotFound
from core.records import revision_of
from products.catalogue.selectors import product_of
from publishes.engine import allowed
from publishes.engine.allowed import Action
from publishes.forms.settings import SettingsForm
from publishes.models import ProductPublish
from publishes.pages import publish_page
from publishes.reading.detail.history import history_of
from publishes.reading.lists.environments import board_of
from publishes.verbs import drafts
from tenants.actors import Actor
from tenants.doors import actor_page


@require_http_methods(["GET", "POST"])
@actor_page
def edit(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """Change a draft's settings."""
    publish = publish_page.publish_at(actor, product_id, publish_id)
    allowed.require(actor, publish, Action.EDIT)
    form = SettingsForm(
        request.POST or None, product=publish.product, cluster=publish.cluster, publish=publish
    )

    def save() -> ProductPublish:
        settings = form.settings(gateway=publish.gateway)
        return drafts.update_publish(actor, publish_id, settings=settings, revision=revision_of(request.POST))

    saving = attempt(save, form) if request.method == "POST" else Attempt[ProductPublish]()
    if saving.saved:
        messages.success(request, _("The settings were changed"))
        return redirect("publishes:detail", product_id, publish_id)
    context = {
        "product": publish.product,
        "publish": publish,
        "form": form,
        "revision": request.POST.get("revision"),
        "problem": saving.problem,
    }
    return render(request, "publishes/wizard/edit.html", context, status=saving.status)


@require_GET
@actor_page
def detail(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """The page of one publish: its status, agents, settings, history, and the actions allowed now."""
    return publish_page.detail_page(request, actor, product_id, publish_id)


@require_GET
@actor_page
def status(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """The status fragment, polled while an operation is open: 204 when `?seen=` is current. Two queries."""
    return _fragment(request, actor, product_id, publish_id, template="publishes/publish/_live.html")


@require_GET
@actor_page
def agents(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """The agent board, polled at rest; when more than times changed, the status fragment is fetched too."""
    return _fragment(request, actor, product_id, publish_id, template="publishes/publish/_agents.html")


@require_GET
@actor_page
def history(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """The history fragment."""
    try:
        publish = publish_page.publish_at(actor, product_id, publish_id)
    except NotFound:
        return publish_page.answer_deleted(request, actor, product_id, publish_id)
    context = {
        "product": publish.product,
        "publish": publish,
        "history": history_of(publish, number=publish_page.page_number(request, "page")),
    }
    return render(request, "publishes/publish/_history.html", context)


@require_GET
@actor_page
def command(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """The curl command, fetched again when the history changed. Three queries."""
    try:
        snapshot = publish_page.snapshot_at(actor, product_id, publish_id)
    except NotFound:
        return publish_page.answer_deleted(request, actor, product_id, publish_id)
    context = {
        "publish": snapshot.publish,
        "product": snapshot.publish.product,
        "curl": publish_page.command_of(snapshot, publish_page.deployed_of(snapshot.publish)),
    }
    return render(request, "publishes/publish/_command.html", context)


@require_GET
@actor_page
def carried(request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID) -> HttpResponse:
    """The services that are live or planned, fetched again when the history changed. Four queries."""
    try:
        publish = publish_page.publish_at(actor, product_id, publish_id)
    except NotFound:
        return publish_page.answer_deleted(request, actor, product_id, publish_id)
    context = {"product": publish.product, "publish": publish} | publish_page.carried_context(
        publish, publish_page.deployed_of(publish)
    )
    return render(request, "publishes/publish/_carried.html", context)


@require_GET
@actor_page
def board(request: HttpRequest, actor: Actor, product_id: UUID) -> HttpResponse:
    """배포 현황 alone, polled by the product's page: 204 when nothing changed since `?seen=`. Two queries."""
    product = product_of(actor, product_id)
    columns = board_of(actor, product)
    context = {"actor": actor, "product": product, "board": columns}
    page = reverse("products:detail", args=[product_id])
    return part(request, "publishes/board/_board.html", context, version=columns.version, page=page)


def _fragment(
    request: HttpRequest, actor: Actor, product_id: UUID, publish_id: UUID, *, template: str
) -> HttpResponse:
    try:
        context = publish_page.status_context(actor, publish_page.snapshot_at(actor, product_id, publish_id))
    except NotFound:
        return publish_page.answer_deleted(request, actor, product_id, publish_id)
    is_current = request.GET.get("seen") == context["version"]
    if template == "publishes/publish/_live.html":
        return HttpResponse(status=204) if is_current else publish_page.status_fragment(request, context)
    response = render(request, template, context)
    return response if is_current else trigger_client_event(response, "live-changed")
