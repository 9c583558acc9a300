"""The import of an OpenAPI document: the page shows the plan first, and carries it out when confirmed."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from core.forms import refuse_unless_valid
from core.problems import Conflict, Invalid, NotFound, Problem
from core.records import revision_of
from products.catalogue import selectors
from products.models import ApiService
from products.openapi import plan as importing
from products.openapi import text as documents
from tenants.actors import Actor
from tenants.doors import actor_page

NEW = "new"
SWITCH = "switch"
"""The name of the buttons that switch the plan to the other target."""


class ImportForm(forms.Form):
    """A document, pasted or as a file, and optionally another upstream."""

    document = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false"}),
        label=gettext_lazy("OpenAPI document"),
    )
    file = forms.FileField(
        required=False,
        label=gettext_lazy("Or its file"),
        widget=forms.FileInput(attrs={"accept": ".yaml,.yml,.json"}),
    )
    upstream_url = forms.CharField(required=False, max_length=500, label=gettext_lazy("Upstream URL"))
    name = forms.CharField(required=False, max_length=100, label=gettext_lazy("Name"))

    def text(self) -> str:
        """The document's text, from the file if given. Raises DocumentRefused."""
        file = self.cleaned_data.get("file")
        if not isinstance(file, UploadedFile):
            return str(self.cleaned_data.get("document", ""))
        return documents.decoded(file.read(documents.MAX_BYTES + 1))


@require_http_methods(["GET", "POST"])
@actor_page
def create(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Import a document into the service of its title, or into a new one. `target` names the shown one."""
    actor.require_write()
    return _page(request, actor, None, target=_target(request, actor))


@require_http_methods(["GET", "POST"])
@actor_page
def change(request: HttpRequest, actor: Actor, service_id: UUID) -> HttpResponse:
    """Import a document into this service, whatever its title."""
    service = selectors.service_of(actor, service_id)
    actor.require_write()
    return _page(request, actor, service, target=service)


def _page(
    request: HttpRequest, actor: Actor, service: ApiService | None, *, target: ApiService | None
) -> HttpResponse:
    if request.method != "POST" or "again" in request.POST:
        return _document_page(request, service, typed=request.POST)
    problem: Problem | None = None
    text = ""
    chosen = importing.Chosen()
    try:
        text, chosen = _submitted(request)
        planned = importing.plan(actor, text, service=target, chosen=chosen)
        if "apply" in request.POST:
            _require_confirmed(request, planned)
            return _saved(
                request,
                importing.carry_out(actor, planned, revision=revision_of(request.POST)),
                is_new=planned.service is None,
            )
    except (Invalid, Conflict) as refusal:
        if isinstance(refusal, Invalid) and refusal.fields.keys() - (
            {"everything", "name"} if chosen.name else {"everything"}
        ):
            typed = {
                "document": text or request.POST.get("document", ""),
                "upstream_url": request.POST.get("upstream_url", ""),
            }
            return _document_page(request, service, typed=typed, problem=refusal)
        problem = refusal
        planned = importing.plan(actor, text, service=target, chosen=replace(chosen, name=""))
    context = {
        "plan": planned,
        "text": text,
        "service": service,
        "problem": problem,
        "name": chosen.name or planned.fields.name,
    }
    return render(request, "products/imports/plan.html", context, status=_status(problem))


def _target_name(request: HttpRequest) -> str:
    return str(request.POST.get(SWITCH) or request.POST.get("target", ""))


def _status(problem: Problem | None) -> int:
    if problem is None:
        return 200
    return 409 if isinstance(problem, Conflict) else 422


def _target(request: HttpRequest, actor: Actor) -> ApiService | None:
    """The service of the shown plan; None for the first plan and for a new service. Raises NotFound."""
    target = _target_name(request)
    if target in {"", NEW}:
        return None
    try:
        return selectors.service_of(actor, UUID(target))
    except ValueError as problem:
        raise NotFound from problem


def _require_confirmed(request: HttpRequest, planned: importing.Plan) -> None:
    if planned.opens_everything and "everything" not in request.POST:
        raise Invalid(
            fields={
                "everything": [
                    _(
                        "Confirm that every path of the upstream becomes open, "
                        "or remove such paths from the document."
                    )
                ]
            }
        )


def _submitted(request: HttpRequest) -> tuple[str, importing.Chosen]:
    form = ImportForm(request.POST, request.FILES)
    refuse_unless_valid(form)
    values = form.cleaned_data
    is_new = _target_name(request) == NEW
    # The other target has its own name and upstream.
    chosen = (
        importing.Chosen(is_new=is_new)
        if SWITCH in request.POST
        else importing.Chosen(is_new=is_new, name=values["name"], upstream=values["upstream_url"])
    )
    return form.text(), chosen


def _document_page(
    request: HttpRequest,
    service: ApiService | None,
    *,
    typed: Mapping[str, str],
    problem: Invalid | None = None,
) -> HttpResponse:
    """The form as typed. Complaints about the upstream are shown at its field, all others in a list."""
    typed_fields = {name: typed.get(name, "") for name in ("document", "upstream_url")}
    form = ImportForm(typed_fields if problem else None, initial=typed_fields)
    fields = dict(problem.fields) if problem else {}
    for text in fields.pop("upstream_url", []):
        if text not in form["upstream_url"].errors:
            form.add_error("upstream_url", str(text))
    complaints = [str(text) for texts in fields.values() for text in texts]
    return render(
        request,
        "products/imports/document.html",
        {"form": form, "service": service, "complaints": complaints},
        status=422 if problem else 200,
    )


def _saved(request: HttpRequest, service: ApiService, *, is_new: bool) -> HttpResponse:
    messages.success(
        request,
        _("The API service was created from the document")
        if is_new
        else _("The API service was updated from the document"),
    )
    return redirect("services:detail", service.pk)
