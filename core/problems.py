"""Refusals: what a service raises when it says no, and how the doors say it (RFC 9457 for programs, a page for people)."""

import json
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.frame import is_htmx, path_of, theme_of

MEDIA_TYPE = "application/problem+json"
REFUSAL = "imp.refusal"
"""Where in a request's environ the web's edge leaves the problem for which it refused the body. No header can be named so."""
Text = str | Promise


class Problem(Exception):
    """A refusal in words. `code` is stable for programs, `detail` says what is wrong and what to do, `fields` per field.

    `title` heads the page that tells it, where the status alone would say something else.
    """

    status = 500
    code = "internal"
    title: Text = ""
    detail: Text = _("Something went wrong on our side. Try again in a moment.")

    def __init__(self, detail: Text | None = None, *, code: str | None = None, fields: dict[str, list[Text]] | None = None) -> None:
        self.detail = self.detail if detail is None else detail
        self.code = code or self.code
        self.fields = fields or {}
        self.headers: dict[str, str] = {}
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


class ChangedMeanwhile(Conflict):
    """Somebody else changed it after it was read. For programs that sent If-Match this is 412, for people a page with both."""

    status = 412
    code = "changed_meanwhile"
    detail = _("Somebody else changed this in the meantime. Load it again, look at it, and make your change anew.")


class RemovedMeanwhile(Conflict):
    """Something that the change refers to was removed while the change was made; only the database noticed."""

    code = "removed_meanwhile"
    detail = _("Something that this needs was removed in the meantime. Load the page again, and choose anew.")


class Invalid(Problem):
    """One or more fields are not right; `fields` says which and why."""

    status = 422
    code = "invalid"
    detail = _("Some fields are not right.")


class BadRequest(Problem):
    """Something about the request itself is wrong."""

    status = 400
    code = "bad_request"
    detail = _("Something about the request is wrong. Go back, load the page again, and try once more.")


class MethodNotAllowed(Problem):
    """The URL is there, but not for this method."""

    status = 405
    code = "method_not_allowed"
    detail = _("This URL does not know this method.")


class StalePage(Problem):
    """The form's secret is not the browser's: the page is old, or cookies are off."""

    status = 403
    code = "stale_page"
    title = _("This page is too old")
    detail = _("This page was open for too long, or the browser keeps no cookies. Load the page again, then try once more.")


class LockedOut(Problem):
    """Too many wrong passwords for this name from this address."""

    status = 429
    code = "locked_out"
    detail = _("Too many wrong passwords. Wait 15 minutes, then try again.")


class Unavailable(Problem):
    """The database is away."""

    status = 503
    code = "unavailable"
    detail = _("The service cannot be reached for a moment. What is live stays live. Try again in a few seconds.")


def as_dict(problem: Problem) -> dict[str, Any]:
    """The RFC 9457 body."""
    title = HTTPStatus(problem.status).phrase  # what RFC 9457 asks for where the type is about:blank
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": problem.status, "code": problem.code, "detail": str(problem.detail)}
    if problem.fields:
        body["fields"] = {name: [str(text) for text in texts] for name, texts in problem.fields.items()}
    return body


def json_response(problem: Problem) -> JsonResponse:
    """The problem for a program."""
    response = JsonResponse(as_dict(problem), status=problem.status, content_type=MEDIA_TYPE, headers=problem.headers)
    if problem.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def page(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The problem for a person. When the database may be away, the page must not need it."""
    if problem.status >= 500:
        return bare_page(request, problem)
    return render(request, "problem.html", {"problem": problem, "title": _title(problem)}, status=problem.status)


def bare_page(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The problem on a page without a frame: no session, no user, no database."""
    context = {"problem": problem, "title": _title(problem), "chosen_theme": theme_of(request), "path": _way_back(request)}
    return HttpResponse(render_to_string("bare_problem.html", context), status=problem.status)


def _way_back(request: HttpRequest) -> str:
    """The same page again; after a form, the page that it stood on. Empty when that is not known."""
    if request.method == "GET":
        return request.path
    return path_of(request.headers.get("Referer", ""), request)


def for_script(problem: Problem) -> HttpResponse:
    """The problem for htmx: what is gone is loaded anew as a page, anything else is said in a toast."""
    if problem.status in {401, 404}:
        return HttpResponse(headers={"HX-Refresh": "true"})
    told = json.dumps({"toast": {"text": str(problem.detail), "tone": "bad"}})
    return HttpResponse(status=problem.status, headers={"HX-Trigger": told})


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
    """What django-axes shows instead of signing somebody in."""
    return bare_page(request, LockedOut())


def _title(problem: Problem) -> Text:
    titles = {
        400: gettext("The request was not understood"),
        401: gettext("Sign in"),
        403: gettext("No permission"),
        404: gettext("Page not found"),
        405: gettext("The request was not understood"),
        409: gettext("Not possible now"),
        422: gettext("Not right yet"),
        429: gettext("Too many attempts"),
        503: gettext("Not available for a moment"),
    }
    return problem.title or titles.get(problem.status, gettext("Something went wrong"))
