"""The page that imports an OpenAPI document: it shows what would be done, and does it when asked again."""

from collections.abc import Mapping
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
from core.problems import Conflict, Invalid, Problem
from core.records import seen_of
from products import selectors
from products.models import ApiService
from products.openapi import plan as importing
from products.openapi import text as documents
from tenants.actors import Actor
from tenants.doors import actor_page


class ImportForm(forms.Form):
    """A document, pasted or as a file, and the upstream if it is another than the document's."""

    document = forms.CharField(
        required=False, strip=False, widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false"}), label=gettext_lazy("OpenAPI document")
    )
    file = forms.FileField(required=False, label=gettext_lazy("Or its file"), widget=forms.FileInput(attrs={"accept": ".yaml,.yml,.json"}))
    upstream_url = forms.CharField(required=False, max_length=500, label=gettext_lazy("Upstream URL"))

    def text(self) -> str:
        """The document's text: the file, if there is one. Raises DocumentRefused."""
        file = self.cleaned_data.get("file")
        if not isinstance(file, UploadedFile):
            return str(self.cleaned_data.get("document", ""))
        return documents.decoded(file.read(documents.MAX_BYTES + 1))


@require_http_methods(["GET", "POST"])
@actor_page
def create(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Import a document: into the service of its title if there is one, else into a new one."""
    actor.require_write()
    return _page(request, actor, None)


@require_http_methods(["GET", "POST"])
@actor_page
def change(request: HttpRequest, actor: Actor, service_id: UUID) -> HttpResponse:
    """Import a document into this service, whatever its title."""
    service = selectors.service_of(actor, service_id)
    actor.require_write()
    return _page(request, actor, service)


def _page(request: HttpRequest, actor: Actor, service: ApiService | None) -> HttpResponse:
    if request.method != "POST" or "again" in request.POST:
        return _asked(request, service, typed=request.POST)
    problem: Problem | None = None
    text = upstream = ""
    try:
        text, upstream = _given(request)
        made = importing.plan(actor, text, service=service, upstream=upstream)
        if "apply" in request.POST:
            return _done(request, importing.carry_out(actor, made, seen=seen_of(request.POST)), is_new=made.service is None)
    except Invalid as refusal:
        typed = {"document": text or request.POST.get("document", ""), "upstream_url": request.POST.get("upstream_url", "")}
        return _asked(request, service, typed=typed, problem=refusal)
    except Conflict as refusal:
        problem = refusal
        made = importing.plan(actor, text, service=service, upstream=upstream)
    context = {"plan": made, "text": text, "service": service, "problem": problem, "upstream": upstream}
    return render(request, "services/import_plan.html", context, status=409 if problem else 200)


def _given(request: HttpRequest) -> tuple[str, str]:
    form = ImportForm(request.POST, request.FILES)
    refuse_unless_valid(form)
    return form.text(), form.cleaned_data["upstream_url"]


def _asked(request: HttpRequest, service: ApiService | None, *, typed: Mapping[str, str], problem: Invalid | None = None) -> HttpResponse:
    """The form with what was typed: a complaint about the upstream stands there, each about the document in a sentence of its own."""
    given = {name: typed.get(name, "") for name in ("document", "upstream_url")}
    form = ImportForm(given if problem else None, initial=given)
    fields = dict(problem.fields) if problem else {}
    for text in fields.pop("upstream_url", []):
        if text not in form["upstream_url"].errors:
            form.add_error("upstream_url", str(text))
    complaints = [str(text) for texts in fields.values() for text in texts]
    return render(request, "services/import.html", {"form": form, "service": service, "complaints": complaints}, status=422 if problem else 200)


def _done(request: HttpRequest, service: ApiService, *, is_new: bool) -> HttpResponse:
    messages.success(request, _("The API service was created from the document") if is_new else _("The API service was changed to what the document says"))
    return redirect("services:detail", service.pk)
