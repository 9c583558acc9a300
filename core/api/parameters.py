"""Query parameters of the JSON API: an unknown parameter is refused by name."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, get_args, get_type_hints

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from ninja import Schema
from ninja.params.models import Query

from core.problems import Invalid, Text

View = Callable[..., Any]
NAMED_AT_MOST = 100


def only_known(view: View) -> View:
    """A view with query parameters (`Query[...]`) accepts no others. Raises Invalid."""
    known_names = set(_names(view))
    if not known_names:
        return view

    @wraps(view)
    def door(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if unknown := sorted(request.GET.keys() - known_names)[:NAMED_AT_MOST]:
            reason: list[Text] = [_("There is no such parameter.")]
            raise Invalid(fields=dict.fromkeys(unknown, reason))
        return view(request, *args, **kwargs)

    return door


def _names(view: View) -> Iterator[str]:
    for hint in get_type_hints(view, include_extras=True).values():
        schema, *marks = get_args(hint) or (hint,)
        if (
            isinstance(schema, type)
            and issubclass(schema, Schema)
            and any(isinstance(mark, Query) for mark in marks)
        ):
            yield from (field.alias or name for name, field in schema.model_fields.items())
