"""YAML as plain values, in one pass over its events: mappings, lists and texts as written.

Values are untyped except null: `1.10`, `No` and `2026-02-31` stay texts. Tags, merge keys and duplicate names
are refused. An alias costs as much as the part that it repeats, so that a small text cannot become a large
one.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from django.utils.translation import gettext as _

from products.openapi.budget import Budget, DocumentRefused

MAX_DEPTH = 100
_LINES_DEPTH = 2
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_PREFIX = "tag:yaml.org,2002:"
_PLAIN_TAGS = {None, "!"} | {
    f"{_PREFIX}{name}" for name in ("str", "int", "float", "bool", "timestamp", "null", "map", "seq")
}
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Lines = dict[tuple[str, ...], int]


class Parsed(NamedTuple):
    """The data, and the lines of the names in the first two levels."""

    data: Any
    lines: Lines


class _Part(NamedTuple):
    """A value with its cost per use: its values, characters, and levels below it."""

    value: Any
    values: int
    characters: int
    levels: int


def parse(text: str, budget: Budget) -> Parsed:
    """Parse a text with one document. Raises DocumentRefused with line and column, and RecursionError."""
    # Events are read one by one: a tree of nodes could overrun C's stack, or take half a minute.
    events: Iterator[Any] = yaml.parse(text, Loader=_Loader)
    reader = _Reader(events, budget)
    try:
        data = reader.document()
    except yaml.MarkedYAMLError as problem:
        raise _refusal(_unreadable(), problem.problem_mark or problem.context_mark) from problem
    except (yaml.YAMLError, ValueError) as problem:
        raise DocumentRefused(_("A value in the document cannot be read.")) from problem
    return Parsed(data, reader.lines)


class _Reader:
    """Reads the events; every value costs when read, and again when an alias repeats it."""

    def __init__(self, events: Iterator[Any], budget: Budget) -> None:
        self.lines: Lines = {}
        self._events, self._budget = events, budget
        self._anchors: dict[str, _Part] = {}

    def document(self) -> Any:
        """The value of the only document; None for an empty stream. A second document is refused."""
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        data = self._part(next(self._events), ()).value
        next(self._events)
        if not isinstance(after := next(self._events), yaml.StreamEndEvent):
            raise _refusal(_unreadable(), after.start_mark)
        return data

    def _part(self, event: Any, at: tuple[str, ...]) -> _Part:
        if len(at) > MAX_DEPTH:
            raise RecursionError
        if isinstance(event, yaml.AliasEvent):
            return self._repeated(event, at)
        _require_plain_tag(event)
        if isinstance(event, yaml.ScalarEvent):
            self._budget.spend(1, len(event.value))
            part = _Part(_scalar(event), 1, len(event.value), 0)
        else:
            self._budget.spend()
            part = self._mapping(at) if isinstance(event, yaml.MappingStartEvent) else self._list(at)
        if event.anchor is not None:
            self._anchors[event.anchor] = part
        return part

    def _repeated(self, event: Any, at: tuple[str, ...]) -> _Part:
        part = self._anchors.get(event.anchor)
        if part is None:
            raise _refusal(_unreadable(), event.start_mark)
        if len(at) + part.levels > MAX_DEPTH:
            raise RecursionError
        self._budget.spend(part.values, part.characters)
        return part

    def _list(self, at: tuple[str, ...]) -> _Part:
        parts = [self._part(event, (*at, "")) for event in self._until_end()]
        return _whole([part.value for part in parts], parts)

    def _mapping(self, at: tuple[str, ...]) -> _Part:
        parts: list[_Part] = []
        values: dict[str, Any] = {}
        for event in self._until_end():
            name, part = self._name(event)
            if name in values:
                raise _refusal(_("Duplicate name: line %(line)d, column %(column)d."), event.start_mark)
            if len(at) < _LINES_DEPTH:
                self.lines[(*at, name)] = event.start_mark.line + 1
            parts += [part, self._part(next(self._events), (*at, name))]
            values[name] = parts[-1].value
        return _whole(values, parts)

    def _name(self, event: Any) -> tuple[str, _Part]:
        if isinstance(event, yaml.ScalarEvent):
            if event.value == "<<" and event.implicit[0]:
                raise _refusal(_tagged(), event.start_mark)
            return event.value, self._part(event, ())
        part = self._part(event, ()) if isinstance(event, yaml.AliasEvent) else None
        if part is None or not isinstance(part.value, str):
            raise _refusal(
                _("A name must be plain text: line %(line)d, column %(column)d."), event.start_mark
            )
        return part.value, part

    def _until_end(self) -> Iterator[Any]:
        while not isinstance(event := next(self._events), yaml.CollectionEndEvent):
            yield event


def _whole(value: Any, parts: list[_Part]) -> _Part:
    levels = 1 + max((part.levels for part in parts), default=0)
    return _Part(
        value, 1 + sum(part.values for part in parts), sum(part.characters for part in parts), levels
    )


def _scalar(event: Any) -> str | None:
    is_null = event.tag == f"{_PREFIX}null" or (
        event.tag is None and event.implicit[0] and event.value in _NULLS
    )
    return None if is_null else str(event.value)


def _require_plain_tag(event: Any) -> None:
    if event.tag not in _PLAIN_TAGS:
        raise _refusal(_tagged(), event.start_mark)


def _tagged() -> str:
    return _(
        "Tags and merge keys are not supported: line %(line)d, column %(column)d. Write the value itself."
    )


def _unreadable() -> str:
    return _("Invalid YAML at line %(line)d, column %(column)d.")


def _refusal(text: str, mark: Any) -> DocumentRefused:
    return DocumentRefused(
        text % {"line": mark.line + 1 if mark else 1, "column": mark.column + 1 if mark else 1}
    )
