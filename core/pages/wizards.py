"""A wizard of several pages that keeps the choices in the session.

formtools provides the steps, their forms and the session storage. On its own it mixes two runs of one
session, forgets on GET, finishes on GET, stores the raw POST, answers an unknown step with 500, lets steps be
skipped, and finishes twice on two clicks. `RunWizard` prevents all of these.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from formtools.wizard.storage.base import BaseStorage
from formtools.wizard.views import NamedUrlSessionWizardView

from core.problems import NotFound, Text

RUNS_KEPT = 10
GO_TO = "wizard_goto_step"
CANCEL = "wizard_cancel"


class RunStorage(BaseStorage):
    """The choices of one run.

    Reading never writes the session; the URL, not the session, selects the step.
    """

    def __init__(self, prefix: str, request: HttpRequest, file_storage: None = None) -> None:
        super().__init__(prefix, request, file_storage)
        self.init_data()
        self.data |= request.session.get(self.prefix, {})

    @property
    def is_empty(self) -> bool:
        """Whether there are no choices: none were made yet, or they ended with an older session."""
        return not self.data[self.step_data_key]

    @property
    def run_key(self) -> UUID | None:
        """The idempotency key of exactly these choices."""
        text = self.extra_data.get("run_key")
        return UUID(text) if text else None

    def kept_value(self, step: str, name: str) -> str:
        """One field of a step as typed; empty when there is none."""
        values: list[str] = self.data[self.step_data_key].get(step, {}).get(name, [])
        return values[-1] if values else ""

    @property
    def wrong(self) -> frozenset[str]:
        """Steps that were refused, and are kept as typed."""
        return frozenset(self.extra_data.get("wrong", []))

    def keep(self, step: str, fields: dict[str, list[str]], *, is_right: bool = True) -> bool:
        """Keep a step's fields (none: delete the step).

        Returns whether they changed; a change makes a new run key.
        """
        fields_by_step = self.data[self.step_data_key]
        wrong = self.wrong - {step} | (frozenset() if is_right else {step})
        if fields_by_step.get(step, {}) == fields and wrong == self.wrong:
            return False
        fields_by_step.pop(step, None)
        if fields:
            fields_by_step[step] = fields
        self._save(wrong)
        return True

    def reset(self) -> None:
        """Delete the run's choices."""
        self.init_data()
        self.request.session.pop(self.prefix, None)

    def _save(self, wrong: frozenset[str]) -> None:
        session = self.request.session
        session.pop(self.prefix, None)
        runs = [name for name in session.keys() if name.startswith("wizard_")]  # noqa: SIM118 - a session is no dict
        for name in runs[: max(0, len(runs) + 1 - RUNS_KEPT)]:
            del session[name]
        self.extra_data = {"run_key": str(uuid4()), "wrong": sorted(wrong)}
        session[self.prefix] = {
            self.step_data_key: self.data[self.step_data_key],
            self.extra_data_key: self.extra_data,
        }


class RunWizard(NamedUrlSessionWizardView):
    """Steps in order, each with a URL of its own; only the last step's POST finishes, once per run key."""

    storage_name = "core.pages.wizards.RunStorage"
    storage: RunStorage
    restart_text: Text = _(
        "There are no choices here. They end with the session, with Cancel, and once the draft is created. "
        "Choose again."
    )

    def subject(self) -> str:
        """The key of the run: runs of one session with different subjects do not mix."""
        raise NotImplementedError

    def cancel_url(self) -> str:
        """The URL after Cancel."""
        raise NotImplementedError

    def finish(self) -> HttpResponse:
        """The action of the last step's POST. Every step is valid by then."""
        raise NotImplementedError

    def already_finished(self) -> HttpResponse | None:
        """The answer to a repeated last POST; None when the run is not finished yet."""
        return None

    def kept_changed(self, step: str) -> None:
        """Called after a step's fields changed."""

    def get_prefix(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> str:
        return f"{self.url_name}:{self.subject()}"

    def get(self, request: HttpRequest, *_args: Any, step: str | None = None, **_kwargs: Any) -> HttpResponse:  # noqa: ARG002 - Django's signature
        """Show a step. Nothing is reset or finished."""
        if step is None:
            return redirect(self.get_step_url(self.steps.first))
        return self.enter(step) or self.show()

    def show(self) -> HttpResponse:
        """The current step with its kept fields."""
        return self.render(self.get_form(data=self.storage.get_step_data(self.steps.current)))

    def post(
        self, request: HttpRequest, *_args: Any, step: str | None = None, **_kwargs: Any
    ) -> HttpResponse:
        """Keep the step's own fields and go on, back or out; the last step finishes."""
        if step is None:
            return HttpResponseNotAllowed(["GET"])
        if CANCEL in request.POST:
            self.storage.reset()
            return redirect(self.cancel_url())
        return self._finished_before(step) or self.enter(step) or self._take(request.POST)

    def enter(self, step: str) -> HttpResponse | None:
        """Make a step the current one.

        Returns a redirect when an earlier step is missing. Raises NotFound.
        """
        if step not in self.get_form_list():
            raise NotFound
        self.storage.current_step = step
        first_missing = self.incomplete()
        if first_missing is None:
            return None
        if self.storage.is_empty:
            messages.info(self.request, str(self.restart_text))
        return redirect(self.get_step_url(first_missing))

    def keep(self, step: str, form: Form) -> None:
        """Keep a step's own fields as typed, valid or not, and nothing else of the POST."""
        typed: Any = form.data
        names = [form.add_prefix(name) for name in form.fields]
        fields = {name: values for name in names if any(values := typed.getlist(name))}
        if step != self.steps.last and self.storage.keep(step, fields, is_right=form.is_valid()):
            self.kept_changed(step)

    def incomplete(self) -> str | None:
        """The first invalid step before the current one; None when all are valid."""
        return next((step for step in self._earlier() if not self._is_complete(step)), None)

    def render(self, form: Form | None = None, **kwargs: Any) -> HttpResponse:
        response = super().render(form, **kwargs)
        if self.request.method == "POST":
            response.status_code = 422
        return response

    def _finished_before(self, step: str) -> HttpResponse | None:
        return self.already_finished() if step == self.steps.last else None

    def _take(self, posted: QueryDict) -> HttpResponse:
        form, current = self.get_form(data=posted), self.steps.current
        self.keep(current, form)
        back_to = posted.get(GO_TO, "")
        if back_to in tuple(self._earlier()):
            return redirect(self.get_step_url(back_to))
        if not form.is_valid():
            return self.render(form)
        if current == self.steps.last:
            return self.finish()
        following = self.steps.next
        assert following is not None  # noqa: S101 - the last step returned above
        return redirect(self.get_step_url(following))

    def _is_complete(self, step: str) -> bool:
        fields = self.storage.get_step_data(step)
        return (
            fields is not None
            and step not in self.storage.wrong
            and self.get_form(step, data=fields).is_valid()
        )

    def _earlier(self) -> Iterator[str]:
        for step in self.steps.all:
            if step == self.steps.current:
                return
            yield step
