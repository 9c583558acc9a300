"""The result of a form that a person sent: saved, or shown again with the reason."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.forms import BaseForm, BaseFormSet

from core.problems import Conflict, Invalid, Problem

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Attempt(Generic[T]):
    """The result of saving: `saved`, or a `problem` for the top of the form (None: its fields show it)."""

    saved: T | None = None
    problem: Problem | None = None
    status: int = 200


def attempt(save: Callable[[], T], *forms: BaseForm | BaseFormSet[Any]) -> Attempt[T]:
    """Call `save`, and turn a refusal into a result. `forms` are the forms that were checked."""
    try:
        return Attempt(saved=save())
    except Conflict as refusal:
        return Attempt(problem=refusal, status=409)
    except Invalid as refusal:
        if any(form.errors or not form.is_valid() for form in forms):
            return Attempt(status=422)
        first_text = next(iter(refusal.fields.values()))[0]  # only the service could see this fault
        return Attempt(problem=Invalid(first_text), status=422)
