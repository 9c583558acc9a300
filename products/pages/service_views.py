"""Pages of API services: a service with its upstream and routes is one form."""

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
from products.catalogue import api_services, selectors
from products.forms import MAX_ROUTES, RouteRow, ServiceForm, initial_rows, route_rows, service_fields
from products.models import ApiService
from products.pages import questions
from tenants.actors import Actor
from tenants.doors import actor_page


@require_GET
@actor_page
def index(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The tenant's API services, by status and text."""
    services_listed = listing(
        request,
        selectors.api_services_of(actor),
        search=("name", "description", "upstream_host"),
        statuses=ApiService.Status.choices,
        every=_("All"),
        annotated=selectors.with_counts,
    )
    return render(request, "products/services/index.html", {"listing": services_listed, "actor": actor})


@require_GET
@actor_page
def detail(request: HttpRequest, actor: Actor, service_id: UUID) -> HttpResponse:
    """One service with its upstream, routes and products. An inclusion tag adds its live publishes."""
    service = selectors.service_of(actor, service_id)
    context = {
        "actor": actor,
        "service": service,
        "routes": list(service.routes.all()),
        "products": list(service.products.order_by("name", "version")),
        "questions": questions.of_service(service) if actor.writes else [],
    }
    return render(request, "products/services/detail.html", context)


@require_http_methods(["GET", "POST"])
@actor_page
def create(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Create a service."""
    actor.require_write()
    return _form(request, actor, None)


@require_http_methods(["GET", "POST"])
@actor_page
def edit(request: HttpRequest, actor: Actor, service_id: UUID) -> HttpResponse:
    """Change a service."""
    service = selectors.service_of(actor, service_id)
    actor.require_write()
    return _form(request, actor, service)


@require_http_methods(["GET", "POST"])
@actor_page
def delete(request: HttpRequest, actor: Actor, service_id: UUID) -> HttpResponse:
    """Delete a service; GET asks first."""
    service = selectors.service_of(actor, service_id)
    actor.require_write()
    return ask_or_do(
        request,
        chosen(questions.of_service(service), "delete"),
        do=lambda: api_services.delete_service(actor, service_id),
        success=_("The API service was deleted"),
        next_url=reverse("services:list"),
        back=reverse("services:detail", args=[service_id]),
    )


def _form(request: HttpRequest, actor: Actor, service: ApiService | None) -> HttpResponse:
    """Show the form, change its rows, or save it."""
    if action := action_of(request):
        form = ServiceForm(actor, service=service)
        form.initial.update(typed_fields(form, request.POST))
        rows, focus = acted(
            typed_rows(RouteRow, request.POST, prefix="routes", most=MAX_ROUTES), action, most=MAX_ROUTES
        )
        return _shown(request, service, form, route_rows(initial=rows), focus=focus)
    if request.method != "POST":
        return _shown(
            request,
            service,
            ServiceForm(actor, service=service),
            route_rows(initial=initial_rows(service) if service else [{}]),
        )
    form, typed = ServiceForm(actor, request.POST, service=service), route_rows(request.POST)
    result = attempt(
        lambda: _save(actor, service, service_fields(form, typed), revision_of(request.POST)), form, typed
    )
    if result.saved:
        messages.success(
            request, _("The API service was changed") if service else _("The API service was created")
        )
        return redirect("services:detail", result.saved.pk)
    return _shown(request, service, form, typed, problem=result.problem, status=result.status)


def _save(
    actor: Actor, service: ApiService | None, fields: api_services.ServiceFields, revision: int | None
) -> ApiService:
    if service is None:
        return api_services.create_service(actor, fields=fields)
    return api_services.update_service(actor, service.pk, fields=fields, revision=revision)


def _shown(
    request: HttpRequest,
    service: ApiService | None,
    form: ServiceForm,
    rows: Any,
    *,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    context = {
        "service": service,
        "form": form,
        "rows": rows,
        "revision": request.POST.get("revision"),
        **more,
    }
    return render(request, "products/services/form.html", context, status=status)
