from collections.abc import Mapping, Sequence
from typing import Any

from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.views.generic import TemplateView

class StepsHelper:
    all: list[str]
    current: str
    first: str
    last: str
    next: str | None
    prev: str | None
    step1: int
    count: int

class NamedUrlSessionWizardView(TemplateView):
    storage_name: str
    url_name: str | None
    form_list: Any
    prefix: str
    storage: Any
    steps: StepsHelper
    def get_prefix(self, request: HttpRequest, /, *args: Any, **kwargs: Any) -> str: ...
    def get_form_list(self) -> Mapping[str, type[Form]]: ...
    def get_form(self, step: str | None = None, data: Any = None, files: Any = None) -> Form: ...
    def get_form_kwargs(self, step: str | None = None) -> dict[str, Any]: ...
    def get_form_initial(self, step: str) -> dict[str, Any]: ...
    def get_step_url(self, step: str) -> str: ...
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse: ...
    def post(self, request: HttpRequest, /, *args: Any, **kwargs: Any) -> HttpResponse: ...
    def render(self, form: Form | None = None, **kwargs: Any) -> HttpResponse: ...
    def done(self, form_list: Sequence[Form], **kwargs: Any) -> HttpResponse: ...
