"""Texts for pydantic's validation errors, in the caller's language."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from django.utils.translation import gettext_lazy as _

from core.problems import Text

_TEXTS: dict[str, Text] = {
    "bool_parsing": _("Use true or false."),
    "bool_type": _("Use true or false."),
    "dict_type": _("Use an object."),
    "enum": _("This value is not allowed."),
    "extra_forbidden": _("There is no such field."),
    "greater_than_equal": _("This number is too small."),
    "int_parsing": _("Use a whole number."),
    "int_type": _("Use a whole number."),
    "less_than_equal": _("This number is too big."),
    "list_type": _("Use a list."),
    "literal_error": _("This value is not allowed."),
    "missing": _("This is required."),
    "model_attributes_type": _("Use an object."),
    "model_type": _("Use an object."),
    "string_type": _("Use a text."),
    "uuid_parsing": _("This is not an id."),
    "uuid_type": _("This is not an id."),
}
_DATES: Text = _("Use a date and time such as 2027-01-31T09:00:00+09:00.")
_OTHER: Text = _("This value is invalid.")
_NAMED_AT_MOST = 100
_PARTS_BEFORE_THE_FIELD = 2  # the source, and the parameter's name


def field_errors(errors: Iterable[dict[str, Any]]) -> dict[str, list[Text]]:
    """The errors by field; `body` for the whole body. At most 100 errors."""
    fields: dict[str, list[Text]] = {}
    for error in islice(errors, _NAMED_AT_MOST):
        start = _PARTS_BEFORE_THE_FIELD if error["loc"][0] == "body" else 1
        place = ".".join(str(part) for part in error["loc"][start:]) or "body"
        kind = str(error["type"])
        fields.setdefault(place, []).append(
            _DATES if kind.startswith(("datetime_", "date_", "timezone_")) else _TEXTS.get(kind, _OTHER)
        )
    return fields
