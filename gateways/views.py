"""Pages of gateways: a gateway, its listeners and its clusters are one form."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from core.pages.lists import listing
from core.pages.questions import ask_or_do, chosen
from core.pages.rows import acted, action_of, typed_fields, typed_rows
from core.pages.saving import attempt
from core.records import revision_of
from core.usage import Use, uses_of
from gateways import questions, selectors, services
from gateways.forms import (
    MAX_LISTENERS,
    GatewayForm,
    ListenerRow,
    gateway_fields,
    initial_rows,
    listener_rows,
)
from gateways.models import Gateway
from tenants.actors import Actor
from tenants.doors import actor_page


@require_GET
@actor_page
def index(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The tenant's gateways, by status and text."""
    rows = selectors.gateways_of(actor)
    gateways = listing(request, rows, search=("name",), statuses=Gateway.Status.choices, every=_("All"))
    return render(request, "gateways/index.html", {"listing": gateways, "actor": actor})


@require_GET
@actor_page
def detail(request: HttpRequest, actor: Actor, gateway_id: UUID) -> HttpResponse:
    """One gateway. An inclusion tag of the app above adds the publishes that use it."""
    gateway = selectors.gateway_of(actor, gateway_id)
    context = {
        "actor": actor,
        "gateway": gateway,
        "listeners": list(gateway.listeners.all()),
        "clusters": list(gateway.clusters.all()),
        "questions": questions.of_gateway(gateway) if actor.writes else [],
    }
    return render(request, "gateways/detail.html", context)


@require_http_methods(["GET", "POST"])
@actor_page
def create(request: HttpRequest, actor: Actor) -> HttpResponse:
    """A new gateway."""
    actor.require_write()
    return _form(request, actor, None, [])


@require_http_methods(["GET", "POST"])
@actor_page
def edit(request: HttpRequest, actor: Actor, gateway_id: UUID) -> HttpResponse:
    """Change a gateway; the parts that publishes use are shown and cannot change."""
    gateway = selectors.gateway_of(actor, gateway_id)
    actor.require_write()
    return _form(request, actor, gateway, uses_of(gateway))


@require_http_methods(["GET", "POST"])
@actor_page
def delete(request: HttpRequest, actor: Actor, gateway_id: UUID) -> HttpResponse:
    """Delete a gateway; GET asks first."""
    gateway = selectors.gateway_of(actor, gateway_id)
    actor.require_write()
    return ask_or_do(
        request,
        chosen(questions.of_gateway(gateway), "delete"),
        do=lambda: services.delete_gateway(actor, gateway_id),
        success=_("The gateway was deleted"),
        next_url=reverse("gateways:list"),
        back=reverse("gateways:detail", args=[gateway_id]),
    )


def _form(request: HttpRequest, actor: Actor, gateway: Gateway | None, uses: list[Use]) -> HttpResponse:
    """Show the form, change its rows, or save it."""
    if action := action_of(request):
        form = GatewayForm(actor, gateway=gateway, uses=uses)
        form.initial.update(typed_fields(form, request.POST))
        rows, focus = acted(
            typed_rows(ListenerRow, request.POST, prefix="listeners", most=MAX_LISTENERS),
            action,
            most=MAX_LISTENERS,
        )
        return _shown(request, gateway, form, listener_rows(initial=rows), focus=focus)
    if request.method != "POST":
        rows = initial_rows(gateway) if gateway else [{}]
        return _shown(
            request, gateway, GatewayForm(actor, gateway=gateway, uses=uses), listener_rows(initial=rows)
        )
    form, typed = GatewayForm(actor, request.POST, gateway=gateway, uses=uses), listener_rows(request.POST)
    result = attempt(
        lambda: _save(actor, gateway, gateway_fields(form, typed), revision_of(request.POST)), form, typed
    )
    if result.saved:
        messages.success(request, _("The gateway was changed") if gateway else _("The gateway was created"))
        return redirect("gateways:detail", result.saved.pk)
    return _shown(request, gateway, form, typed, problem=result.problem, status=result.status)


def _save(
    actor: Actor, gateway: Gateway | None, fields: services.GatewayFields, revision: int | None
) -> Gateway:
    if gateway is None:
        return services.create_gateway(actor, fields=fields)
    return services.update_gateway(actor, gateway.pk, fields=fields, revision=revision)


def _shown(
    request: HttpRequest,
    gateway: Gateway | None,
    form: GatewayForm,
    rows: Any,
    *,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    fixed = {use.cluster_id for use in form.uses}
    ticked = {str(getattr(value, "pk", value)) for value in form["clusters"].value() or []}
    clusters = [
        (cluster, str(cluster.pk) in ticked or cluster.pk in fixed, cluster.pk in fixed)
        for cluster in form.offered
    ]
    context = {
        "gateway": gateway,
        "form": form,
        "rows": rows,
        "revision": request.POST.get("revision"),
        "clusters": clusters,
        "is_held": bool(form.uses),
        **more,
    }
    return render(request, "gateways/form.html", context, status=status)
