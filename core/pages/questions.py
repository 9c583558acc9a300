"""What is asked before a thing is done: in a dialog with script, on a page of its own without. The answer is a redirect, or the refusal in words."""

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
    """`verb` is the dialog's id, `url` where the answer goes, `back` where somebody goes who thinks better of it; `is_primary` marks the page's next step."""

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
    """The one of that verb, if it may be asked now."""
    return next((question for question in questions if question.verb == verb), None)


def ask_or_do(
    request: HttpRequest,
    question: Question | None,
    *,
    do: Callable[[], object],
    said: Text,
    then: str,
    back: str,
) -> HttpResponse:
    """GET asks on a page; POST does it, says so and leads on. A question that may not be asked now leads back, but doing it says why not."""
    if request.method != "POST":
        return render(request, "frame/question.html", {"question": question}) if question else redirect(back)
    try:
        do()
    except Conflict as problem:
        return _refused(request, question, problem, back=back)
    messages.success(request, str(said))
    return HttpResponseClientRedirect(then) if is_htmx(request) else redirect(then)


def _refused(request: HttpRequest, question: Question | None, problem: Problem, *, back: str) -> HttpResponse:
    if question is None:  # the page was old: show what is true now, and why it was refused
        messages.error(request, str(problem.detail))
        return HttpResponseClientRedirect(back) if is_htmx(request) else redirect(back)
    template = "components/question.html" if is_htmx(request) else "frame/question.html"
    return render(request, template, {"question": question, "problem": problem}, status=409)
