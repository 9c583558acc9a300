"""The JSON API: assembles the apps' routers, and says every error as application/problem+json."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from core.problems import Forbidden, Invalid, NotFound, Problem, Unauthenticated, json_response
from publishes.api import router as publishes
from tenants.api import SessionAuth, TokenAuth

api = NinjaAPI(
    title="imp-gateway",
    version="1",
    description="Publish API products to gateways, and know when they are really live.",
    auth=[TokenAuth(), SessionAuth()],
    urls_namespace="api",
    docs_url=None,
)
api.add_router("/provider", publishes)


@api.exception_handler(Problem)
def _problem(_request: HttpRequest, problem: Problem) -> HttpResponse:
    return json_response(problem)


@api.exception_handler(Http404)
def _not_found(_request: HttpRequest, _missing: Http404) -> HttpResponse:
    return json_response(NotFound())


@api.exception_handler(AuthenticationError)
def _unauthenticated(_request: HttpRequest, _error: AuthenticationError) -> HttpResponse:
    return json_response(Unauthenticated())


@api.exception_handler(HttpError)
def _http_error(_request: HttpRequest, error: HttpError) -> HttpResponse:
    if error.status_code == 403:
        return json_response(Forbidden(_("The CSRF token is missing or wrong. Reload the page, or use an API token.")))
    problem = Invalid(str(error), code="malformed")
    problem.status = error.status_code
    return json_response(problem)


@api.exception_handler(ValidationError)
def _invalid(_request: HttpRequest, error: ValidationError) -> HttpResponse:
    fields: dict[str, list[Any]] = {}
    for one in error.errors:
        place = ".".join(str(part) for part in one["loc"][2:]) or "body"
        fields.setdefault(place, []).append(one["msg"])
    return json_response(Invalid(fields=fields))
