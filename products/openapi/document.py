"""Reads from an OpenAPI 3 document what an API service needs: title, version, servers, paths, methods."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from core.problems import Text
from products.catalogue.upstream_urls import parse
from products.models import METHODS
from products.openapi.budget import DocumentRefused
from products.openapi.text import Document, printable

MAX_SERVERS = 20
MAX_PATHS = 2_000
MAX_PATH = 500
MAX_DESCRIPTION = 5_000
MAX_REFERENCE = 1_000
MAX_SEGMENTS = 20
MOST_COMPLAINTS = 20
MOST_NOTES = 50
_OPERATIONS = {method.lower(): method for method in METHODS}
_KNOWN_FIELDS = {*_OPERATIONS, "summary", "description", "servers", "parameters", "$ref"}
_VARIABLE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, kw_only=True)
class ApiPath:
    """A path without query and fragment, its methods in our order, and its name in the document."""

    path: str
    methods: tuple[str, ...]
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Api:
    """The API of a document. `servers` can be upstreams; `notes` say what was left out."""

    title: str
    version: str
    description: str
    servers: tuple[str, ...]
    paths: tuple[ApiPath, ...]
    notes: tuple[Text, ...]


@dataclass(frozen=True)
class _Notes:
    """Notes for people: paths that were left out, and other parts that are not read."""

    left_out: list[Text] = field(default_factory=list)
    unread: list[Text] = field(default_factory=list)


def read(document: Document) -> Api:
    """The API of a document. Raises DocumentRefused with up to 20 complaints and their places."""
    root = document.data
    _require_version_3(root)
    info = root.get("info") if isinstance(root.get("info"), dict) else {}
    title = _line(info.get("title"))[:100].strip()
    complaints: list[Text] = []
    if len(title) < 2:
        complaints.append(
            _("%(place)s: a title needs at least two characters.")
            % {"place": document.place("info", "title")}
        )
    notes = _Notes()
    servers = tuple(dict.fromkeys(_servers(document, root, notes)))
    paths = tuple(_paths(document, root, notes))
    if not paths:
        complaints += notes.left_out or [
            _("%(place)s: no path has an operation, so there would be no route.")
            % {"place": document.place("paths")}
        ]
    if complaints:
        raise DocumentRefused(*complaints[:MOST_COMPLAINTS])
    described = _text(info.get("description")).strip() or _text(info.get("summary")).strip()
    description = _line(described[:MAX_DESCRIPTION].split("\n\n")[0])
    version = _line(info.get("version"))[:50]
    return Api(
        title=title,
        version=version,
        description=_cut(description, 500),
        servers=servers,
        paths=paths,
        notes=(*notes.left_out, *notes.unread),
    )


def _require_version_3(root: Any) -> None:
    if not isinstance(root, dict):
        raise DocumentRefused(_("This is not an OpenAPI document: it must start with openapi: 3."))
    if "swagger" in root:
        raise DocumentRefused(
            _("This is Swagger 2.0. Convert it to OpenAPI 3 first (editor.swagger.io does).")
        )
    if not re.match(r"3\.\d", _text(root.get("openapi"))):
        raise DocumentRefused(_("openapi: only version 3 is supported, as in openapi: 3.1.0."))


def _servers(document: Document, root: dict[str, Any], notes: _Notes) -> Iterator[str]:
    listed = root.get("servers")
    for number, server in enumerate(listed[:MAX_SERVERS] if isinstance(listed, list) else []):
        url = _line(server.get("url")) if isinstance(server, dict) else ""
        variables = server.get("variables") if isinstance(server, dict) else None
        filled = _VARIABLE.sub(lambda variable, values=variables: _default(values, variable[1]), url)  # type: ignore[misc]
        try:
            yield str(parse(filled))
        except ValidationError as problem:
            place = f"{document.place('servers')} → {number + 1}"
            notes.unread.append(
                _("%(place)s: %(url)s was left out. %(reason)s")
                % {"place": place, "url": url or "—", "reason": " ".join(problem.messages)}
            )


def _default(variables: Any, name: str) -> str:
    variable = variables.get(name) if isinstance(variables, dict) else None
    return _line(variable.get("default")) if isinstance(variable, dict) else "{" + name + "}"


def _paths(document: Document, root: dict[str, Any], notes: _Notes) -> Iterator[ApiPath]:
    paths = root.get("paths")
    listed: dict[str, Any] = paths if isinstance(paths, dict) else {}
    if len(listed) > MAX_PATHS:
        raise DocumentRefused(
            _("%(place)s: more than %(most)d paths. Split the document.")
            % {"place": document.place("paths"), "most": MAX_PATHS}
        )
    for key, item in listed.items():
        document.budget.spend()
        if key.startswith("x-"):
            continue
        if not key.isprintable():
            place = document.place("paths", _cut(key, 60))
            notes.left_out.append(
                _("%(place)s: the path has characters that are not allowed in a URL.") % {"place": place}
            )
        elif not key.startswith("/") or len(key) > MAX_PATH:
            place = document.place("paths", key if len(key) <= MAX_PATH else _cut(key, 60))
            notes.left_out.append(
                _("%(place)s: a path starts with / and has at most %(most)d characters.")
                % {"place": place, "most": MAX_PATH}
            )
        else:
            yield from _path(document, key, item, notes)


def _path(document: Document, key: str, item: Any, notes: _Notes) -> Iterator[ApiPath]:
    place = {"place": document.place("paths", key)}
    try:
        operations, beside = _resolved(document, item)
    except LookupError:
        notes.left_out.append(
            _("%(place)s: its $ref leads out of this document, or nowhere. Only this document is read.")
            % place
        )
        return
    document.budget.spend(len(operations))
    methods = tuple(method for name, method in _OPERATIONS.items() if name in operations)
    path = re.split("[?#]", key, maxsplit=1)[0]
    if beside:
        notes.unread.append(
            _("%(place)s: %(names)s beside its $ref is not read.") % (place | {"names": ", ".join(beside)})
        )
    if path != key:
        notes.unread.append(
            _("%(place)s: a path ends before ? or #. Read as %(path)s.") % (place | {"path": path})
        )
    if unknown := sorted(
        name for name in operations if name not in _KNOWN_FIELDS and not name.startswith("x-")
    ):
        values = place | {"names": _cut(_line(", ".join(unknown)), 100)}
        notes.unread.append(_("%(place)s: %(names)s is not a method of routes.") % values)
    if operations.get("servers"):
        notes.unread.append(_("%(place)s: its own servers are not read; a service has one upstream.") % place)
    with_servers = [name for name in _OPERATIONS if _has_servers(operations.get(name))]
    if with_servers:
        notes.unread.append(
            _("%(place)s: the servers of %(methods)s are not read; a service has one upstream.")
            % (place | {"methods": ", ".join(_OPERATIONS[name] for name in with_servers)})
        )
    if methods:
        yield ApiPath(path=path, methods=methods, source=key)


def _has_servers(operation: object) -> bool:
    return isinstance(operation, dict) and bool(operation.get("servers"))


def _resolved(document: Document, item: Any) -> tuple[dict[str, Any], list[str]]:
    """A path item after following references inside the document, and the unread names beside the references.

    Raises LookupError for references that leave the document, go in circles, or are too long.
    """
    beside: dict[str, None] = {}
    for _step in range(10):
        if not isinstance(item, dict):
            return {}, list(beside)
        reference = item.get("$ref")
        if reference is None:
            return item, list(beside)
        if not isinstance(reference, str) or not reference.startswith("#/") or len(reference) > MAX_REFERENCE:
            raise LookupError
        document.budget.spend(len(item))
        beside |= dict.fromkeys(name for name in item if name in _OPERATIONS or name == "servers")
        parts = reference[2:].split("/", MAX_SEGMENTS)
        if len(parts) > MAX_SEGMENTS:
            raise LookupError
        item = document.data
        for part in parts:
            item = item[part.replace("~1", "/").replace("~0", "~")] if isinstance(item, dict) else None
    raise LookupError


def _line(value: object) -> str:
    """A value as one line of plain text; empty if it is not a text."""
    return printable(_text(value))


def _text(value: object) -> str:
    """A value as written; empty if it is not a text. Only JSON distinguishes booleans from texts."""
    if isinstance(value, bool):
        return json.dumps(value)
    return value if isinstance(value, str) else ""


def first_notes(notes: list[Text]) -> tuple[Text, ...]:
    """The notes that a page shows, and the number of further ones."""
    more = len(notes) - MOST_NOTES
    return (*notes[:MOST_NOTES], _("And %(n)d more.") % {"n": more}) if more > 0 else tuple(notes)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
