"""Turns every refusal into a response: problem+json for programs, a page for people."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from core.outages import of_database
from core.pages.frame import is_htmx
from core.problem_responses import for_script, json_response, page
from core.problems import MEDIA_TYPE, REFUSAL, BadRequest, Forbidden, MethodNotAllowed, NotFound, Problem


class ProblemMiddleware:
    """Answers a refusal with a problem body under /api/ and /agent/, and with a page elsewhere.

    Under /api/ and /agent/ every other error (unknown URL, wrong method) becomes a problem body too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        refusal: Problem | None = request.META.get(REFUSAL)
        response = _answer(request, refusal) if refusal else self.get_response(request)
        if _is_for_programs(request):
            is_done = response.status_code < 400 or response.headers["Content-Type"].startswith(MEDIA_TYPE)
            return response if is_done else _as_problem(response)
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


def _as_problem(response: HttpResponse) -> HttpResponse:
    problem_types = {404: NotFound, 405: MethodNotAllowed, 403: Forbidden}
    problem = problem_types.get(response.status_code, BadRequest if response.status_code < 500 else Problem)()
    problem.status = response.status_code
    answer = json_response(problem)
    if "Allow" in response.headers:
        answer.headers["Allow"] = response.headers["Allow"]
    return answer
