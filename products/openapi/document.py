"""What of an OpenAPI 3 document an API service needs: title, version, servers, and paths with their methods."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from core.problems import Text
from products.models import METHODS
from products.openapi.text import Document, DocumentRefused, printable
from products.upstream_urls import parse

MAX_SERVERS = 20
MAX_PATHS = 2_000
MAX_PATH = 500
MOST_COMPLAINTS = 20
MOST_NOTES = 50
_OPERATIONS = {method.lower(): method for method in METHODS}
_NO_OPERATIONS = {"summary", "description", "servers", "parameters", "$ref"}
_VARIABLE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, kw_only=True)
class ApiPath:
    """A path as the document has it, with its methods in our order."""

    path: str
    methods: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Api:
    """What was read. `servers` are those that can be an upstream; `notes` say what was left out."""

    title: str
    version: str
    description: str
    servers: tuple[str, ...]
    paths: tuple[ApiPath, ...]
    notes: tuple[Text, ...]


def read(document: Document) -> Api:
    """The API that a document describes. Raises DocumentRefused with every complaint and its place, 20 at most."""
    root = document.data
    _require_version_3(root)
    info = root.get("info") if isinstance(root.get("info"), dict) else {}
    title = _line(info.get("title"))[:100].strip()
    complaints = [] if len(title) >= 2 else [_("%(place)s: the API needs a title of at least two characters.") % {"place": document.place("info", "title")}]
    notes: list[Text] = []
    servers = tuple(dict.fromkeys(_servers(document, root, notes)))
    paths = tuple(_paths(document, root, notes, complaints))
    if not paths and not complaints:
        complaints.append(_("%(place)s: there is no path with an operation, so there would be no route.") % {"place": document.place("paths")})
    if complaints:
        raise DocumentRefused(*complaints[:MOST_COMPLAINTS])
    description = _line(str(info.get("description") or info.get("summary") or "").strip().split("\n\n")[0])
    return Api(title=title, version=_line(info.get("version"))[:50], description=_cut(description, 500), servers=servers, paths=paths, notes=_first(notes))


def _require_version_3(root: Any) -> None:
    if not isinstance(root, dict):
        raise DocumentRefused(_("This is no OpenAPI document: it should begin with openapi: 3."))
    if "swagger" in root:
        raise DocumentRefused(_("This is Swagger 2.0. Convert it to OpenAPI 3 first (editor.swagger.io does)."))
    if not re.match(r"3\.\d", str(root.get("openapi", ""))):
        raise DocumentRefused(_("openapi: only version 3 is taken, as in openapi: 3.1.0."))


def _servers(document: Document, root: dict[str, Any], notes: list[Text]) -> Iterator[str]:
    listed = root.get("servers")
    for number, server in enumerate(listed[:MAX_SERVERS] if isinstance(listed, list) else []):
        url = _line(server.get("url")) if isinstance(server, dict) else ""
        variables = server.get("variables") if isinstance(server, dict) else None
        filled = _VARIABLE.sub(lambda found, given=variables: _default(given, found[1]), url)  # type: ignore[misc]
        try:
            yield str(parse(filled))
        except ValidationError as problem:
            place = f"{document.place('servers')} → {number + 1}"
            notes.append(_("%(place)s: %(url)s was left out. %(reason)s") % {"place": place, "url": url or "—", "reason": " ".join(problem.messages)})


def _default(variables: Any, name: str) -> str:
    variable = variables.get(name) if isinstance(variables, dict) else None
    return _line(variable.get("default")) if isinstance(variable, dict) else "{" + name + "}"


def _paths(document: Document, root: dict[str, Any], notes: list[Text], complaints: list[str]) -> Iterator[ApiPath]:
    paths = root.get("paths")
    listed: dict[Any, Any] = paths if isinstance(paths, dict) else {}
    if len(listed) > MAX_PATHS:
        complaints.append(_("%(place)s: more than %(most)d paths. Divide the document.") % {"place": document.place("paths"), "most": MAX_PATHS})
        return
    for key, item in listed.items():
        path = str(key)
        if path.startswith("x-"):
            continue
        if not path.isprintable():
            complaints.append(_("%(place)s: the path has characters that no URL has.") % {"place": document.place("paths", _cut(path, 60))})
            continue
        if not path.startswith("/") or len(path) > MAX_PATH:
            place = {"place": document.place("paths", _cut(path, 60)), "most": MAX_PATH}
            complaints.append(_("%(place)s: a path starts with / and has %(most)d characters at most.") % place)
            continue
        try:
            operations = _resolved(root, item)
        except LookupError:
            complaints.append(
                _("%(place)s: its $ref leads elsewhere or nowhere. Only what stands in this document is read.") % {"place": document.place("paths", path)}
            )
            continue
        methods = tuple(method for name, method in _OPERATIONS.items() if name in operations)
        if unknown := sorted(
            str(name) for name in operations if str(name) not in _OPERATIONS | dict.fromkeys(_NO_OPERATIONS) and not str(name).startswith("x-")
        ):
            said = {"place": document.place("paths", path), "names": _cut(_line(", ".join(unknown)), 100)}
            notes.append(_("%(place)s: %(names)s is no method that a route can name.") % said)
        if operations.get("servers"):
            notes.append(_("%(place)s: its own servers are not read; a service has one upstream.") % {"place": document.place("paths", path)})
        if methods:
            yield ApiPath(path=path, methods=methods)


def _resolved(root: dict[str, Any], item: Any) -> dict[str, Any]:
    """A path item, following references inside the document. Raises LookupError for those that lead out of it, or in circles."""
    for _step in range(10):
        if not isinstance(item, dict):
            return {}
        reference = item.get("$ref")
        if reference is None:
            return item
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise LookupError
        item = root
        for part in reference[2:].split("/"):
            item = item[part.replace("~1", "/").replace("~0", "~")] if isinstance(item, dict) else None
    raise LookupError


def _line(value: object) -> str:
    """A value as one line of plain text; empty for what is no plain value."""
    return "" if value is None or isinstance(value, dict | list) else printable(str(value))


def _first(notes: list[Text]) -> tuple[Text, ...]:
    more = len(notes) - MOST_NOTES
    return (*notes[:MOST_NOTES], _("And %(n)d more of the kind.") % {"n": more}) if more > 0 else tuple(notes)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
