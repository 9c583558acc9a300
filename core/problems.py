"""Refusals: what a service raises when it says no, and how the doors say it (RFC 9457 for programs, a page for people)."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

MEDIA_TYPE = "application/problem+json"
Text = str | Promise


class Problem(Exception):
    """A refusal in words. `code` is stable for programs, `detail` says what is wrong and what to do, `fields` per field."""

    status = 500
    code = "internal"
    detail: Text = _("Something went wrong on our side. Try again in a moment.")

    def __init__(self, detail: Text | None = None, *, code: str | None = None, fields: dict[str, list[Text]] | None = None) -> None:
        self.detail = self.detail if detail is None else detail
        self.code = code or self.code
        self.fields = fields or {}
        super().__init__(self.code)


class NotFound(Problem):
    """It is not there, or it is not yours: the two look the same."""

    status = 404
    code = "not_found"
    detail = _("There is nothing here, or it is not yours.")


class Unauthenticated(Problem):
    """Nobody is signed in, or the token is not valid."""

    status = 401
    code = "unauthenticated"
    detail = _("Sign in, or send a valid API token as Authorization: Bearer.")


class Forbidden(Problem):
    """You are known, but your role does not allow it."""

    status = 403
    code = "forbidden"
    detail = _("Your role does not allow this. Ask an owner or admin of your workspace.")


class Conflict(Problem):
    """The thing is in a state in which this cannot be done; the detail says what to do instead."""

    status = 409
    code = "conflict"
    detail = _("This cannot be done now.")


class Invalid(Problem):
    """One or more fields are not right; `fields` says which and why."""

    status = 422
    code = "invalid"
    detail = _("Some fields are not right.")


def as_dict(problem: Problem) -> dict[str, Any]:
    """The RFC 9457 body."""
    body: dict[str, Any] = {"type": "about:blank", "title": problem.code, "status": problem.status, "code": problem.code, "detail": str(problem.detail)}
    if problem.fields:
        body["fields"] = {name: [str(text) for text in texts] for name, texts in problem.fields.items()}
    return body


def json_response(problem: Problem) -> JsonResponse:
    """The problem for a program."""
    response = JsonResponse(as_dict(problem), status=problem.status, content_type=MEDIA_TYPE)
    if problem.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


class ProblemMiddleware:
    """Turns a refusal that left a view into an answer: a problem body under /api/ and /agent/, a page elsewhere.

    Under those two, whatever else went wrong (an unknown URL, a method that is not there) is said as a problem too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code < 400 or not _is_for_programs(request) or response.headers["Content-Type"].startswith(MEDIA_TYPE):
            return response
        return _said_as_problem(response)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, Problem):
            return None
        return json_response(exception) if _is_for_programs(request) else page(request, exception)


def _is_for_programs(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/agent/"))


def _said_as_problem(response: HttpResponse) -> HttpResponse:
    problem = {404: NotFound(), 405: Invalid(_("This URL does not know this method."), code="method_not_allowed")}.get(response.status_code, Problem())
    problem.status = response.status_code
    said = json_response(problem)
    if "Allow" in response.headers:
        said.headers["Allow"] = response.headers["Allow"]
    return said


def page(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The problem for a person."""
    return render(request, "problem.html", {"problem": problem, "title": _title(problem.status)}, status=problem.status)


def _title(status: int) -> str:
    titles = {
        401: gettext("Sign in"),
        403: gettext("No permission"),
        404: gettext("Page not found"),
        409: gettext("Not possible now"),
        422: gettext("Not right yet"),
    }
    return titles.get(status, gettext("Something went wrong"))
