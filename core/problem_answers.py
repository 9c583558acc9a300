"""Which refusal a request gets, and in whose words: the last stop of everything that left a view."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from core.outages import of_database
from core.pages.frame import is_htmx
from core.problem_pages import for_script, json_response, page
from core.problems import MEDIA_TYPE, REFUSAL, BadRequest, Forbidden, MethodNotAllowed, NotFound, Problem


class ProblemMiddleware:
    """Turns a refusal that left a view into an answer: a problem body under /api/ and /agent/, a page elsewhere.

    Under those two, whatever else went wrong (an unknown URL, a method that is not there) is said as a problem too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        refusal: Problem | None = request.META.get(REFUSAL)
        response = _answer(request, refusal) if refusal else self.get_response(request)
        if _is_for_programs(request):
            is_said = response.status_code < 400 or response.headers["Content-Type"].startswith(MEDIA_TYPE)
            return response if is_said else _said_as_problem(response)
        return page(request, MethodNotAllowed()) if response.status_code == 405 else response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        problem = exception if isinstance(exception, Problem) else of_database(exception)
        return _answer(request, problem) if problem else None


def _answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    if _is_for_programs(request):
        return json_response(problem)
    return for_script(problem) if is_htmx(request) else page(request, problem)


def _is_for_programs(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/agent/"))


def _said_as_problem(response: HttpResponse) -> HttpResponse:
    known = {404: NotFound, 405: MethodNotAllowed, 403: Forbidden}
    problem = known.get(response.status_code, BadRequest if response.status_code < 500 else Problem)()
    problem.status = response.status_code
    said = json_response(problem)
    if "Allow" in response.headers:
        said.headers["Allow"] = response.headers["Allow"]
    return said
