"""Rows of a form that are added, removed and moved by buttons: by a whole page without script, by the rows alone with htmx."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.forms import BaseForm, Form
from django.http import HttpRequest, QueryDict

from core.texts import whole_number

ACTION = "row"
"""The name of those buttons; their values are add, remove-2, up-2 and down-2."""

_MOVES = {"up": -1, "down": 1}


class Focus(NamedTuple):
    """What has the focus next: a button of a row (up, down, remove), its first field, or the button that adds one."""

    on: str = ""
    row: int = -1


class Acted(NamedTuple):
    """The rows after a button was pressed, and where whoever pressed it goes on."""

    rows: list[dict[str, Any]]
    focus: Focus


def action_of(request: HttpRequest) -> str:
    """What one of the row buttons asked for; empty when the form itself was sent."""
    return str(request.POST.get(ACTION, "")) if request.method == "POST" else ""


def typed_rows(form: type[Form], data: QueryDict, *, prefix: str, most: int) -> list[dict[str, Any]]:
    """The rows as they were typed, right or not."""
    count = min(whole_number(data.get(f"{prefix}-TOTAL_FORMS", "")) or 0, most)
    return [_typed(form, data, f"{prefix}-{number}") for number in range(count)]


def acted(rows: list[dict[str, Any]], action: str, *, most: int) -> Acted:
    """What a button did; one that makes no sense changes nothing."""
    verb, _dash, text = action.partition("-")
    named = whole_number(text)
    number = -1 if named is None else named
    if verb == "add":
        return (
            Acted([*rows, {}], Focus("field", len(rows))) if len(rows) < most else Acted(rows, Focus("add"))
        )
    if verb == "remove" and 0 <= number < len(rows):
        rows = rows[:number] + rows[number + 1 :]
        return Acted(rows, Focus("remove", min(number, len(rows) - 1)) if rows else Focus("add"))
    other = number + _MOVES.get(verb, 0)
    if verb in _MOVES and 0 <= number < len(rows) and 0 <= other < len(rows):
        rows = list(rows)
        rows[number], rows[other] = rows[other], rows[number]
        return Acted(rows, Focus(_usable(verb, other, len(rows)), other))
    return Acted(rows, Focus())


def _usable(verb: str, row: int, count: int) -> str:
    # The first row's button for up and the last one's for down are disabled, and cannot have the focus.
    return "down" if row == 0 else "up" if row == count - 1 else verb


def typed_fields(form: BaseForm, data: QueryDict) -> Mapping[str, Any]:
    """The other fields of the form as they were typed, to be shown again without complaint."""
    return {
        name: field.widget.value_from_datadict(data, {}, form.add_prefix(name))
        for name, field in form.fields.items()
    }


def _typed(form: type[Form], data: QueryDict, prefix: str) -> dict[str, Any]:
    return {
        name: field.widget.value_from_datadict(data, {}, f"{prefix}-{name}")
        for name, field in form.base_fields.items()
    }
