"""Pages of products."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from core.pages.frame import is_htmx
from core.pages.lists import listing
from core.pages.questions import ask_or_do, chosen
from core.pages.saving import Attempt, attempt
from core.problems import Text
from core.records import revision_of
from products.catalogue import products, selectors
from products.errors import ProductIsArchived
from products.forms import ProductForm
from products.models import Product
from products.pages import questions
from tenants.actors import Actor
from tenants.doors import actor_page


@require_GET
@actor_page
def index(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The tenant's products, by status and text."""
    products_listed = listing(
        request,
        selectors.products_of(actor),
        search=("name", "description"),
        statuses=Product.Status.choices,
        every=_("All"),
        annotated=selectors.with_service_count,
    )
    return render(request, "products/products/index.html", {"listing": products_listed, "actor": actor})


@require_GET
@actor_page
def detail(request: HttpRequest, actor: Actor, product_id: UUID) -> HttpResponse:
    """One product with its services. An inclusion tag of the app above adds its publishes."""
    product = selectors.product_of(actor, product_id)
    linked = list(selectors.services_of(product))
    possible_questions = questions.of_product(product, services=len(linked)) if actor.writes else []
    return render(
        request,
        "products/products/detail.html",
        {"product": product, "services": linked, "actor": actor, "questions": possible_questions},
    )


@require_http_methods(["GET", "POST"])
@actor_page
def create(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Create a product, with the services that the link names."""
    actor.require_write()
    form = ProductForm(_posted(request))
    chosen_services = selectors.requested_services(actor, (request.POST or request.GET).getlist("service"))
    ids = [service.pk for service in chosen_services]
    result = _attempted(
        request, lambda: products.create_product(actor, fields=form.product_fields(), service_ids=ids), form
    )
    if result.saved:
        messages.success(request, _("The product was created"))
        return redirect("products:detail", result.saved.pk)
    return render(
        request,
        "products/products/form.html",
        {"form": form, "chosen_services": chosen_services},
        status=result.status,
    )


@require_http_methods(["GET", "POST"])
@actor_page
def edit(request: HttpRequest, actor: Actor, product_id: UUID) -> HttpResponse:
    """Change a product's fields."""
    product = selectors.product_of(actor, product_id)
    actor.require_write()
    if product.status == Product.Status.ARCHIVED:
        raise ProductIsArchived
    form = ProductForm(_posted(request), instance=product)
    result = _attempted(
        request,
        lambda: products.update_product(
            actor, product_id, fields=form.product_fields(), revision=revision_of(request.POST)
        ),
        form,
    )
    if result.saved:
        messages.success(request, _("The product was changed"))
        return redirect("products:detail", product_id)
    context = {
        "form": form,
        "product": selectors.product_of(actor, product_id),
        "revision": request.POST.get("revision"),
        "problem": result.problem,
    }
    return render(request, "products/products/form.html", context, status=result.status)


@require_http_methods(["GET", "POST"])
@actor_page
def link(request: HttpRequest, actor: Actor, product_id: UUID) -> HttpResponse:
    """Choose the product's services: in a dialog with script, on a page without."""
    product = selectors.product_of(actor, product_id)
    actor.require_write()
    linkable = selectors.linkable_services(actor, product)
    ids = [service.pk for service in linkable if str(service.pk) in request.POST.getlist("services")]
    result = _attempted(
        request,
        lambda: products.link_services(
            actor, product_id, service_ids=ids, revision=revision_of(request.POST)
        ),
    )
    if result.saved:
        messages.success(request, _("The linked API services were changed"))
        target = reverse("products:detail", args=[product_id])
        return HttpResponseClientRedirect(target) if is_htmx(request) else redirect(target)
    typed = request.POST.getlist("services")
    if not result.problem:
        typed = [str(service.pk) for service in linkable if getattr(service, "is_linked", False)]
    context = {
        "product": product,
        "linkable": linkable,
        "typed": typed,
        "problem": result.problem,
        "revision": request.POST.get("revision"),
    }
    return render(
        request,
        "products/products/_link.html" if is_htmx(request) else "products/products/link.html",
        context,
        status=result.status,
    )


@require_http_methods(["GET", "POST"])
@actor_page
def activate(request: HttpRequest, actor: Actor, product_id: UUID) -> HttpResponse:
    """Activate a product; GET asks first."""
    return _ask_or_do(
        request, actor, product_id, verb="activate", do=products.activate, success=_("The product is active")
    )


@require_http_methods(["GET", "POST"])
@actor_page
def deactivate(request: HttpRequest, actor: Actor, product_id: UUID) -> HttpResponse:
    """Deactivate a product; GET asks first."""
    return _ask_or_do(
        request,
        actor,
        product_id,
        verb="deactivate",
        do=products.deactivate,
        success=_("The product is a draft again"),
    )


@require_http_methods(["GET", "POST"])
@actor_page
def archive(request: HttpRequest, actor: Actor, product_id: UUID) -> HttpResponse:
    """Archive a product; GET asks first."""
    return _ask_or_do(
        request, actor, product_id, verb="archive", do=products.archive, success=_("The product was archived")
    )


@require_http_methods(["GET", "POST"])
@actor_page
def delete(request: HttpRequest, actor: Actor, product_id: UUID) -> HttpResponse:
    """Delete a product; GET asks first."""
    return _ask_or_do(
        request,
        actor,
        product_id,
        verb="delete",
        do=products.delete_product,
        success=_("The product was deleted"),
        next_url=reverse("products:list"),
    )


def _posted(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def _attempted(request: HttpRequest, save: Callable[[], Product], *forms: ProductForm) -> Attempt[Product]:
    """The result of a sent form; an empty one for GET."""
    return attempt(save, *forms) if request.method == "POST" else Attempt()


def _ask_or_do(
    request: HttpRequest,
    actor: Actor,
    product_id: UUID,
    *,
    verb: str,
    do: Callable[[Actor, UUID], object],
    success: Text,
    next_url: str = "",
) -> HttpResponse:
    product = selectors.product_of(actor, product_id)
    actor.require_write()
    back = reverse("products:detail", args=[product_id])
    question = chosen(questions.of_product(product, services=product.links.count()), verb)
    return ask_or_do(
        request,
        question,
        do=lambda: do(actor, product_id),
        success=success,
        next_url=next_url or back,
        back=back,
    )
