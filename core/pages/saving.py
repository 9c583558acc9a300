"""What became of a form that a person sent: saved, or shown again with the reason."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.forms import BaseForm, BaseFormSet

from core.problems import Conflict, Invalid, Problem

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Attempt(Generic[T]):
    """`saved` is what was saved. Else `problem` is for the top of the form (None: its fields say it), with the answer's `status`."""

    saved: T | None = None
    problem: Problem | None = None
    status: int = 200


def attempt(save: Callable[[], T], *forms: BaseForm | BaseFormSet[Any]) -> Attempt[T]:
    """Save what `forms` checked; a refusal in words is an answer, not an error."""
    try:
        return Attempt(saved=save())
    except Conflict as refusal:
        return Attempt(problem=refusal, status=409)
    except Invalid as refusal:
        is_said = any(form.errors or not form.is_valid() for form in forms)
        return Attempt(
            problem=None if is_said else Invalid(next(iter(refusal.fields.values()))[0]), status=422
        )  # what only the service could see
