"""The JSON API: the apps' routers, with every error as application/problem+json."""

from functools import partial
from typing import Any

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.openapi.docs import Swagger

from agent.protocol.version import PROGRAM_VERSION
from config.openapi import DescribedApi
from config.validation_texts import field_errors
from core.api.idempotency import once
from core.api.parameters import only_known
from core.problem_responses import json_response
from core.problems import BadRequest, Forbidden, Invalid, NotFound, Problem, Unauthenticated
from core.security.bodies import BoundedParser
from gateways.api import router as gateways
from products.api.api_services import router as api_services
from products.api.products import router as products
from publishes.api import keys, listing, operations, places, publishes
from tenants.api.callers import SessionAuth, TokenAuth, scope_of
from tenants.api.tokens import router as tokens

api = DescribedApi(
    title="imp-gateway",
    version=PROGRAM_VERSION,
    description="Publish API products to gateways, and know when they are really live.",
    auth=[TokenAuth(), SessionAuth()],
    parser=BoundedParser(),
    urls_namespace="api",
    docs=Swagger({"validatorUrl": None, "defaultModelsExpandDepth": 0, "docExpansion": "list"}),
    docs_decorator=csp_replace({"style-src": [SELF, UNSAFE_INLINE]}),  # the docs page has inline styles
)
api.add_decorator(partial(once, scope=scope_of), mode="operation")  # after authentication and parsing
api.add_decorator(only_known, mode="operation")
api.add_router("/provider", publishes.router)
api.add_router("/provider", keys.router)
api.add_router("/provider", listing.router)
api.add_router("/provider", operations.router)
api.add_router("/provider", products)
api.add_router("/provider", api_services)
api.add_router("/provider", gateways)
api.add_router("/provider", tokens)
api.add_router("/operator", places.router)


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
        return json_response(
            Forbidden(
                _("The CSRF token is missing or wrong. Reload the page, or use an API token."), code="csrf"
            )
        )
    if isinstance(error.__cause__, Problem):  # raised by the body's parser
        return json_response(error.__cause__)
    return json_response(BadRequest(_("The body is not JSON."), code="malformed"))


@api.exception_handler(ValidationError)
def _invalid(_request: HttpRequest, error: ValidationError) -> HttpResponse:
    fields: dict[str, list[Any]] = field_errors(error.errors)
    return json_response(Invalid(fields=fields))
