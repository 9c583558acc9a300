"""Shared form code: refusals for programs, storable texts, and errors per row."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.forms import BaseForm, BaseFormSet, Form
from django.utils.translation import gettext_lazy as _

from core.problems import Invalid, Text

Fields = dict[str, list[Text]]
F = TypeVar("F", bound=Form)


class Rows(BaseFormSet[F]):
    """Rows of a form. A blank row is ignored on a page, and an error in a program's request."""

    default_error_messages = {
        **BaseFormSet.default_error_messages,
        "too_many_forms": _("%(num)d rows at most. Remove the others."),
    }

    def filled(self) -> list[F]:
        """The rows that are not blank."""
        return [row for row in self.forms if row.has_changed() or not row.empty_permitted]


def rows_data(
    prefix: str, rows: Sequence[Mapping[str, Any]], *, defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """A program's rows as a page would have posted them. All count as filled in."""
    data: dict[str, Any] = {f"{prefix}-TOTAL_FORMS": len(rows), f"{prefix}-INITIAL_FORMS": len(rows)}
    return data | {
        f"{prefix}-{number}-{name}": value
        for number, row in enumerate(rows)
        for name, value in {**defaults, **row}.items()
    }


def validate_plain_text(text: str) -> None:
    """One line that can be stored and shown: no control characters, no half of a surrogate pair."""
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise ValidationError(_("The text has characters that cannot be stored."), code="characters")


def validate_text(text: str) -> None:
    """Plain text of several lines."""
    validate_plain_text(text.translate({9: " ", 10: " ", 13: " "}))


def refuse_unless_valid(
    form: BaseForm, *rows: BaseFormSet[Any], renamed: Mapping[str, str] | None = None
) -> None:
    """Raises Invalid with the reasons per field; fields of rows are `prefix.0.field`.

    `renamed` maps a form's field to the name that the request uses.
    """
    problems = _fields_of(form) | {
        name: texts for formset in rows for name, texts in _fields_of_rows(formset)
    }
    if problems:
        raise Invalid(fields={(renamed or {}).get(name, name): texts for name, texts in problems.items()})


def initial_values(unbound: BaseForm) -> dict[str, Any]:
    """The initial values of an unbound form: a program keeps them by leaving a field out."""
    return {name: unbound.get_initial_for_field(field, name) for name, field in unbound.fields.items()}


def _fields_of(form: BaseForm) -> Fields:
    return {
        "body" if name == "__all__" else name: [str(text) for text in texts]
        for name, texts in form.errors.items()
    }


def _fields_of_rows(formset: BaseFormSet[Any]) -> Iterator[tuple[str, list[Text]]]:
    formset.full_clean()
    whole: list[Text] = [str(text) for text in formset.non_form_errors()]
    if whole:
        yield str(formset.prefix), whole
    for number, errors in enumerate(form.errors for form in formset.forms):
        for name in errors:
            place = f"{formset.prefix}.{number}" if name == "__all__" else f"{formset.prefix}.{number}.{name}"
            yield place, [str(text) for text in errors[name]]
