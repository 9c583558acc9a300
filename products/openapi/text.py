"""The text of a document as data: YAML or JSON, size-capped, nothing but plain values, with the lines to point at."""

import json
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml
from django.utils.translation import gettext as _
from yaml.constructor import ConstructorError

from core.problems import Invalid, Text

MAX_BYTES = 1_000_000
MAX_DEPTH = 100
MAX_EVENTS = 150_000
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class DocumentRefused(Invalid):
    """The document is not one that we can take; each text says where and why."""

    code = "openapi"

    def __init__(self, *texts: Text) -> None:
        super().__init__(fields={"document": list(texts)})


def printable(text: str) -> str:
    """One line that can be shown and stored: JSON may hold control characters, and half of a surrogate pair."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


@dataclass(kw_only=True)
class Document:
    """What was read, and its text, which tells the lines when somebody asks for one."""

    data: Any
    text: str = field(repr=False)

    def place(self, *keys: str) -> str:
        """Where something stands, in words: `paths → /pets (line 12)`. Two names at most."""
        name, line = " → ".join(printable(key) for key in keys), self._lines.get(keys) or self._lines.get(keys[:1])
        return _("%(place)s (line %(line)d)") % {"place": name, "line": line} if line else name

    @cached_property
    def _lines(self) -> dict[tuple[str, ...], int]:
        """The lines of all names at the top, and of those below them. JSON is nearly YAML; where it is not, there is no line to tell."""
        try:
            root = _tree(self.text)
        except (yaml.YAMLError, RecursionError):
            return {}
        lines: dict[tuple[str, ...], int] = {}
        for name, node in _children(root):
            lines[(name.value,)] = name.start_mark.line + 1
            lines |= {(name.value, below.value): below.start_mark.line + 1 for below, _node in _children(node)}
        return lines


class _Loader(_Base):  # type: ignore[misc]
    """Plain values alone: no tags, no merge keys (their expansion has no bound), no key twice."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge keys stay what they are, and are refused like any other unknown tag."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen = set()
        for key, _value in node.value:
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                raise ConstructorError(None, None, "twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep=deep)  # type: ignore[no-any-return]


def decoded(raw: bytes) -> str:
    """The text of an uploaded file. Raises DocumentRefused."""
    if len(raw) > MAX_BYTES:
        raise DocumentRefused(_("The document is larger than 1 MB. Leave out examples and schemas; servers and paths are all that is read."))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DocumentRefused(_("The file is no text in UTF-8. Save it in that encoding.")) from problem


def load(text: str) -> Document:
    """A document from its text. Raises DocumentRefused in words with line and column."""
    text = decoded(text.encode("utf-8", "replace"))
    if not text.strip():
        raise DocumentRefused(_("Paste an OpenAPI document, or choose its file."))
    try:
        return _json(text) if text.lstrip()[0] == "{" else _yaml(text)
    except RecursionError as problem:
        raise DocumentRefused(_("The document is nested too deeply.")) from problem


def _json(text: str) -> Document:
    try:
        return Document(data=json.loads(text, object_pairs_hook=_once), text=text)
    except json.JSONDecodeError as problem:
        raise DocumentRefused(
            _("This is no JSON: it cannot be read at line %(line)d, column %(column)d.") % {"line": problem.lineno, "column": problem.colno}
        ) from problem
    except ValueError as problem:
        raise DocumentRefused(_("A value in the document cannot be read.")) from problem


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        raise DocumentRefused(_("%(name)s stands twice in one place.") % {"name": printable(_doubled(names))})
    return found


def _doubled(names: list[str]) -> str:
    return Counter(names).most_common(1)[0][0]


def _yaml(text: str) -> Document:
    loader = _Loader(text)
    try:
        _check_bounds(text)
        return Document(data=loader.get_single_data(), text=text)
    except yaml.MarkedYAMLError as problem:
        raise DocumentRefused(_in_words(problem)) from problem
    except (yaml.YAMLError, ValueError, TypeError) as problem:
        raise DocumentRefused(_("A value in the document cannot be read.")) from problem
    finally:
        loader.dispose()


def _check_bounds(text: str) -> None:
    """Raises RecursionError for what is nested too deeply, DocumentRefused for too many values.

    Events come one by one; building the tree of them first would overrun C's stack, or take half a minute.
    """
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Base)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise RecursionError
        if count > MAX_EVENTS:
            raise DocumentRefused(_("The document has too many values. Leave out examples and schemas; servers and paths are all that is read."))


def _in_words(problem: yaml.MarkedYAMLError) -> str:
    mark = problem.problem_mark or problem.context_mark
    at = {"line": mark.line + 1 if mark else 1, "column": mark.column + 1 if mark else 1}
    if isinstance(problem, ConstructorError) and problem.problem == "twice":
        return _("A name stands twice in one place, at line %(line)d, column %(column)d.") % at
    if isinstance(problem, ConstructorError):
        return _("Tags and merge keys are not taken: line %(line)d, column %(column)d. Write the value itself.") % at
    return _("This is no YAML: it cannot be read at line %(line)d, column %(column)d.") % at


def _tree(text: str) -> Any:
    try:
        _check_bounds(text)
    except DocumentRefused as problem:
        raise RecursionError from problem
    return yaml.compose(text, Loader=_Loader)


def _children(node: Any) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    return [(name, child) for name, child in node.value if isinstance(name, yaml.ScalarNode)] if isinstance(node, yaml.MappingNode) else []
