"""A wizard of several pages that keeps what was chosen in the session; it knows nothing of what it is for.

formtools brings the steps, their forms and the session storage. Left alone it mixes two runs of one session, forgets on GET, finishes on GET,
keeps the raw POST, answers an unknown step with a 500, lets steps be skipped and finishes twice on two clicks. `RunWizard` closes these.
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
    """What one run has chosen so far. Reading never writes the session, and which step is shown is the URL's affair, not the session's."""

    def __init__(self, prefix: str, request: HttpRequest, file_storage: None = None) -> None:
        super().__init__(prefix, request, file_storage)
        self.init_data()
        self.data |= request.session.get(self.prefix, {})

    @property
    def is_empty(self) -> bool:
        """Whether nothing was chosen yet, or all of it is gone with an older session."""
        return not self.data[self.step_data_key]

    @property
    def run_key(self) -> UUID | None:
        """The key of exactly these choices."""
        text = self.extra_data.get("run_key")
        return UUID(text) if text else None

    def kept(self, step: str, name: str) -> str:
        """One field of a step as it was typed; empty when there is none."""
        values: list[str] = self.data[self.step_data_key].get(step, {}).get(name, [])
        return values[-1] if values else ""

    @property
    def wrong(self) -> frozenset[str]:
        """Steps that are kept as they were typed, though they were refused."""
        return frozenset(self.extra_data.get("wrong", []))

    def keep(self, step: str, fields: dict[str, list[str]], *, is_right: bool = True) -> bool:
        """Keep a step's fields (none: forget the step). Says whether that changed anything; a change makes a new run key."""
        kept = self.data[self.step_data_key]
        wrong = self.wrong - {step} | (frozenset() if is_right else {step})
        if kept.get(step, {}) == fields and wrong == self.wrong:
            return False
        kept.pop(step, None)
        if fields:
            kept[step] = fields
        self._save(wrong)
        return True

    def reset(self) -> None:
        """Forget the run."""
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
        "Nothing is chosen here: choices end with the session, with Cancel, and once the draft is made. Please choose again."
    )

    def subject(self) -> str:
        """What the run is about: two runs of one session with different subjects do not mix."""
        raise NotImplementedError

    def cancel_url(self) -> str:
        """Where somebody goes who gives up."""
        raise NotImplementedError

    def finish(self) -> HttpResponse:
        """What the last step's POST does, given that every step is right."""
        raise NotImplementedError

    def already_finished(self) -> HttpResponse | None:
        """The answer to a last POST that comes a second time, when the first has finished the run; None when it has not."""
        return None

    def kept_changed(self, step: str) -> None:
        """Called when a step's fields have changed."""

    def get_prefix(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> str:
        return f"{self.url_name}:{self.subject()}"

    def get(self, request: HttpRequest, *_args: Any, step: str | None = None, **_kwargs: Any) -> HttpResponse:  # noqa: ARG002 - Django's signature
        """Show a step. Nothing is reset and nothing is finished by it."""
        if step is None:
            return redirect(self.get_step_url(self.steps.first))
        return self.enter(step) or self.show()

    def show(self) -> HttpResponse:
        """The current step with what was kept of it."""
        return self.render(self.get_form(data=self.storage.get_step_data(self.steps.current)))

    def post(
        self, request: HttpRequest, *_args: Any, step: str | None = None, **_kwargs: Any
    ) -> HttpResponse:
        """Keep the step's own fields and go on, back or away; on the last step, finish."""
        if step is None:
            return HttpResponseNotAllowed(["GET"])
        if CANCEL in request.POST:
            self.storage.reset()
            return redirect(self.cancel_url())
        return self._finished_before(step) or self.enter(step) or self._take(request.POST)

    def enter(self, step: str) -> HttpResponse | None:
        """Make a step the current one; the answer that leads elsewhere when an earlier step is missing. Raises NotFound for no step of ours."""
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
        """Keep a step's own fields as they were typed, right or not, and nothing else of what was posted."""
        typed: Any = form.data
        names = [form.add_prefix(name) for name in form.fields]
        given = {name: values for name in names if any(values := typed.getlist(name))}
        if step != self.steps.last and self.storage.keep(step, given, is_right=form.is_valid()):
            self.kept_changed(step)

    def incomplete(self) -> str | None:
        """The first step before the current one that is not right; None when all are."""
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
        assert following is not None  # noqa: S101 - the last step was answered above
        return redirect(self.get_step_url(following))

    def _is_complete(self, step: str) -> bool:
        kept = self.storage.get_step_data(step)
        return (
            kept is not None and step not in self.storage.wrong and self.get_form(step, data=kept).is_valid()
        )

    def _earlier(self) -> Iterator[str]:
        for step in self.steps.all:
            if step == self.steps.current:
                return
            yield step
