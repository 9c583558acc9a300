"""Form rows that buttons add, remove and move: the whole page without script, the rows alone with htmx."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.forms import BaseForm, Form
from django.http import HttpRequest, QueryDict

from core.texts import whole_number

ACTION = "row"
"""The name of the buttons; their values are add, remove-2, up-2 and down-2."""

_MOVES = {"up": -1, "down": 1}


class Focus(NamedTuple):
    """The next focus: a button of a row (up, down, remove), its first field, or the add button."""

    on: str = ""
    row: int = -1


class Acted(NamedTuple):
    """The rows after a button was pressed, and the next focus."""

    rows: list[dict[str, Any]]
    focus: Focus


def action_of(request: HttpRequest) -> str:
    """The value of the pressed row button; empty when the form itself was sent."""
    return str(request.POST.get(ACTION, "")) if request.method == "POST" else ""


def typed_rows(form: type[Form], data: QueryDict, *, prefix: str, most: int) -> list[dict[str, Any]]:
    """The rows as typed, valid or not."""
    count = min(whole_number(data.get(f"{prefix}-TOTAL_FORMS", "")) or 0, most)
    return [_typed(form, data, f"{prefix}-{number}") for number in range(count)]


def acted(rows: list[dict[str, Any]], action: str, *, most: int) -> Acted:
    """The rows after the button's action. An unknown action changes nothing."""
    verb, _dash, text = action.partition("-")
    parsed = whole_number(text)
    number = -1 if parsed is None else parsed
    if verb == "add":
        has_room = len(rows) < most
        return Acted([*rows, {}], Focus("field", len(rows))) if has_room else Acted(rows, Focus("add"))
    if verb == "remove" and 0 <= number < len(rows):
        rows = rows[:number] + rows[number + 1 :]
        return Acted(rows, Focus("remove", min(number, len(rows) - 1)) if rows else Focus("add"))
    target = number + _MOVES.get(verb, 0)
    if verb in _MOVES and 0 <= number < len(rows) and 0 <= target < len(rows):
        rows = list(rows)
        rows[number], rows[target] = rows[target], rows[number]
        return Acted(rows, Focus(_usable(verb, target, len(rows)), target))
    return Acted(rows, Focus())


def _usable(verb: str, row: int, count: int) -> str:
    # "up" of the first row and "down" of the last row are disabled, and cannot have the focus.
    if row == 0:
        return "down"
    return "up" if row == count - 1 else verb


def typed_fields(form: BaseForm, data: QueryDict) -> Mapping[str, Any]:
    """The form's other fields as typed, to show them again without errors."""
    return {
        name: field.widget.value_from_datadict(data, {}, form.add_prefix(name))
        for name, field in form.fields.items()
    }


def _typed(form: type[Form], data: QueryDict, prefix: str) -> dict[str, Any]:
    return {
        name: field.widget.value_from_datadict(data, {}, f"{prefix}-{name}")
        for name, field in form.base_fields.items()
    }
