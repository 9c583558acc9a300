"""Parses YAML or JSON within a budget: plain values as written, with line numbers."""

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.utils.translation import gettext as _

from products.openapi import yaml_text
from products.openapi.budget import Budget, DocumentRefused

MAX_BYTES = 1_000_000


def printable(text: str) -> str:
    """One line that can be shown and stored: without control characters and half surrogate pairs."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


@dataclass(kw_only=True)
class Document:
    """A parsed document: data, text (for line numbers), and the rest of its budget."""

    data: Any
    text: str = field(repr=False)
    budget: Budget

    def place(self, *keys: str) -> str:
        """A place in the document: `paths → /pets (line 12)`. Two names at most."""
        name, line = (
            " → ".join(printable(key) for key in keys),
            self._lines.get(keys) or self._lines.get(keys[:1]),
        )
        return _("%(place)s (line %(line)d)") % {"place": name, "line": line} if line else name

    @cached_property
    def _lines(self) -> yaml_text.Lines:
        """The lines of the names in the first two levels; empty for JSON that is not valid YAML."""
        try:
            return yaml_text.parse(self.text, Budget()).lines
        except (DocumentRefused, RecursionError):
            return {}


def decoded(raw: bytes) -> str:
    """Decode an uploaded file. Raises DocumentRefused."""
    if len(raw) > MAX_BYTES:
        raise DocumentRefused(
            _(
                "The document is larger than 1 MB. "
                "Remove examples and schemas; only servers and paths are read."
            )
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DocumentRefused(_("The file is not UTF-8 text. Save it as UTF-8.")) from problem


def load(text: str, budget: Budget | None = None) -> Document:
    """Parse a document. Raises DocumentRefused with line and column."""
    budget = budget or Budget()
    text = decoded(text.encode("utf-8", "replace"))
    if not text.strip():
        raise DocumentRefused(_("Paste an OpenAPI document, or choose its file."))
    try:
        data = _json(text, budget) if text.lstrip()[0] == "{" else yaml_text.parse(text, budget).data
    except RecursionError as problem:
        raise DocumentRefused(_("The document is nested too deeply.")) from problem
    return Document(data=data, text=text, budget=budget)


def _json(text: str, budget: Budget) -> Any:
    """Parse JSON; numbers stay texts, because version 1.10 is not 1.1."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        budget.spend(len(pairs))
        values = dict(pairs)
        if len(values) != len(pairs):
            raise DocumentRefused(
                _("Duplicate name: %(name)s.")
                % {"name": printable(_doubled([name for name, _value in pairs]))}
            )
        return values

    try:
        return json.loads(text, object_pairs_hook=unique, parse_int=str, parse_float=str)
    except json.JSONDecodeError as problem:
        at = {"line": problem.lineno, "column": problem.colno}
        raise DocumentRefused(_("Invalid JSON at line %(line)d, column %(column)d.") % at) from problem


def _doubled(names: list[str]) -> str:
    return Counter(names).most_common(1)[0][0]
