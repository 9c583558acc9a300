"""Confirmation questions: a dialog with script, a page without. The answer is a redirect, or the refusal."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django_htmx.http import HttpResponseClientRedirect

from core.pages.frame import is_htmx
from core.problems import Conflict, Problem, Text


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question to confirm. `verb` is the dialog's id, `url` takes the answer, `back` is the way out."""

    verb: str
    title: Text
    button: Text
    url: str
    back: str
    texts: tuple[Text, ...] = ()
    warning: Text = ""
    is_danger: bool = False
    is_primary: bool = False


def chosen(questions: Iterable[Question], verb: str) -> Question | None:
    """The question of that verb, if it may be asked now."""
    return next((question for question in questions if question.verb == verb), None)


def ask_or_do(
    request: HttpRequest,
    question: Question | None,
    *,
    do: Callable[[], object],
    success: Text,
    next_url: str,
    back: str,
) -> HttpResponse:
    """GET shows the question; POST calls `do`, shows `success` and redirects to `next_url`.

    Without a question, GET redirects to `back`, and POST still calls `do`, whose refusal is shown.
    """
    if request.method != "POST":
        return render(request, "frame/question.html", {"question": question}) if question else redirect(back)
    try:
        do()
    except Conflict as problem:
        return _refused(request, question, problem, back=back)
    messages.success(request, str(success))
    return HttpResponseClientRedirect(next_url) if is_htmx(request) else redirect(next_url)


def _refused(request: HttpRequest, question: Question | None, problem: Problem, *, back: str) -> HttpResponse:
    if question is None:  # the page was outdated: show the current one, with the refusal
        messages.error(request, str(problem.detail))
        return HttpResponseClientRedirect(back) if is_htmx(request) else redirect(back)
    template = "components/question.html" if is_htmx(request) else "frame/question.html"
    return render(request, template, {"question": question, "problem": problem}, status=409)
