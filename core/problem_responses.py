"""Responses for refusals: RFC 9457 for programs, pages or fragments for people, Django's error handlers."""

import json
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext

from core.pages.frame import is_htmx, path_of, theme_of
from core.problems import MEDIA_TYPE, BadRequest, Forbidden, LockedOut, NotFound, Problem, StalePage, Text


def as_dict(problem: Problem) -> dict[str, Any]:
    """The RFC 9457 body."""
    title = HTTPStatus(problem.status).phrase  # RFC 9457 requires it for about:blank
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": problem.status,
        "code": problem.code,
        "detail": str(problem.detail),
    }
    if problem.fields:
        body["fields"] = {name: [str(text) for text in texts] for name, texts in problem.fields.items()}
    return body


def json_response(problem: Problem) -> JsonResponse:
    """The problem for a program."""
    response = JsonResponse(
        as_dict(problem), status=problem.status, content_type=MEDIA_TYPE, headers=problem.headers
    )
    if problem.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def page(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The problem as a page. A 5xx page must not need the database."""
    if problem.status >= 500:
        return bare_page(request, problem)
    return render(
        request, "frame/problem.html", {"problem": problem, "title": _title(problem)}, status=problem.status
    )


def bare_page(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The problem on a page without a frame: needs no session, user or database."""
    context = {
        "problem": problem,
        "title": _title(problem),
        "chosen_theme": theme_of(request),
        "path": _way_back(request),
    }
    return HttpResponse(render_to_string("frame/bare_problem.html", context), status=problem.status)


def _way_back(request: HttpRequest) -> str:
    """The path of the page, or of the form that was sent. Empty when unknown."""
    if request.method == "GET":
        return request.path
    return path_of(request.headers.get("Referer", ""), request)


def for_script(problem: Problem) -> HttpResponse:
    """The problem for htmx: 401 and 404 reload the page, any other problem is a toast."""
    if problem.status in {401, 404}:
        return HttpResponse(headers={"HX-Refresh": "true"})
    trigger = json.dumps({"toast": {"text": str(problem.detail), "tone": "bad"}})
    return HttpResponse(status=problem.status, headers={"HX-Trigger": trigger})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Django's handler400."""
    return bare_page(request, BadRequest())


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """Django's handler403."""
    return page(request, Forbidden())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """Django's handler404."""
    return page(request, NotFound())


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500."""
    return bare_page(request, Problem())


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    """Django's CSRF_FAILURE_VIEW."""
    problem = StalePage()
    return for_script(problem) if is_htmx(request) else bare_page(request, problem)


def locked_out(request: HttpRequest, *_args: object, **_kwargs: object) -> HttpResponse:
    """The page of django-axes for a locked-out sign-in."""
    return bare_page(request, LockedOut())


def _title(problem: Problem) -> Text:
    titles = {
        400: gettext("Invalid request"),
        401: gettext("Sign in"),
        403: gettext("No permission"),
        404: gettext("Page not found"),
        405: gettext("Invalid request"),
        409: gettext("Not possible now"),
        422: gettext("Check your input"),
        429: gettext("Too many attempts"),
        503: gettext("Not available for a moment"),
    }
    return problem.title or titles.get(problem.status, gettext("Something went wrong"))
