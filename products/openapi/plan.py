"""Plans what an import would create or change, and carries the plan out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from core.problems import Invalid, Text
from products.catalogue import api_services
from products.catalogue.api_services import ServiceFields
from products.catalogue.upstream_urls import UpstreamUrl
from products.forms import MAX_ROUTES, checked_service
from products.models import METHODS, ApiService, Route, validate_path
from products.openapi.budget import DocumentRefused
from products.openapi.document import MOST_COMPLAINTS, Api, ApiPath, first_notes, read
from products.openapi.routes import Collapsed, collapse, static_start
from products.openapi.text import Document, load
from tenants.actors import Actor

NAME_LENGTH = 100
_STEM = 80
"""Characters of the title in a suggested name; the rest is for a version or number."""


class Difference(StrEnum):
    """The change of a route."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    SAME = "same"


@dataclass(frozen=True, kw_only=True)
class RouteChange:
    """A route before and after. `sources` are the document's paths that it covers."""

    difference: Difference
    path: str
    methods: tuple[str, ...]
    before: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    is_everything: bool = False


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """A field before and after; `before` is empty for a new service."""

    label: Text
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The person's choices. Empty: the current upstream, else the document's first server; a free name.

    `is_new`: create a new service even if one has the document's title.
    """

    is_new: bool = False
    name: str = ""
    upstream: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The planned import.

    `service` changes in place (None: a new service); `namesake` has the document's title.
    """

    service: ApiService | None
    namesake: ApiService | None
    fields: ServiceFields
    upstreams: tuple[str, ...]
    changes: tuple[FieldChange, ...]
    routes: tuple[RouteChange, ...]
    notes: tuple[Text, ...] = field(default=())

    @property
    def upstream(self) -> str:
        """The chosen upstream."""
        parts = self.fields
        return str(
            UpstreamUrl(
                scheme=parts.upstream_scheme,
                host=parts.upstream_host,
                port=parts.upstream_port,
                path=parts.upstream_path,
            )
        )

    @property
    def is_nothing(self) -> bool:
        """Whether the service already matches the document."""
        return (
            self.service is not None
            and not self.changes
            and all(route.difference == Difference.SAME for route in self.routes)
        )

    @property
    def opens_everything(self) -> bool:
        """Whether every path of the upstream becomes open, which the person has to confirm."""
        return any(
            route.is_everything and route.difference in {Difference.ADDED, Difference.CHANGED}
            for route in self.routes
        )

    @property
    def now(self) -> str:
        """The current upstream; empty for a new service."""
        return str(UpstreamUrl.of(self.service)) if self.service else ""

    @property
    def added(self) -> int:
        """How many routes are new."""
        return self._count(Difference.ADDED)

    @property
    def changed(self) -> int:
        """How many routes get other methods."""
        return self._count(Difference.CHANGED)

    @property
    def removed(self) -> int:
        """How many routes go."""
        return self._count(Difference.REMOVED)

    def _count(self, difference: Difference) -> int:
        return sum(route.difference == difference for route in self.routes)


def plan(actor: Actor, text: str, *, service: ApiService | None = None, chosen: Chosen | None = None) -> Plan:
    """Plan an import into the given, the namesake, or a new service. Raises DocumentRefused, Invalid."""
    chosen = chosen or Chosen()
    document = load(text)
    api = read(document)
    paths, left_out = _usable(api, document)
    routes = collapse(paths)
    if len(routes) > MAX_ROUTES:
        most = {"n": len(routes), "most": MAX_ROUTES}
        raise DocumentRefused(
            _(
                "The document needs %(n)d routes; a service has at most %(most)d. "
                "Split it into several documents."
            )
            % most
        )
    namesake = None if service else ApiService.objects.visible_to(actor).filter(name=api.title).first()
    service = service or (None if chosen.is_new else namesake)
    current_upstream = str(UpstreamUrl.of(service)) if service else ""
    choices = tuple(dict.fromkeys(url for url in (chosen.upstream, current_upstream, *api.servers) if url))
    if not choices:
        raise Invalid(
            fields={"upstream_url": [_("The document names no usable server. Enter the upstream URL.")]}
        )
    values = _form_values(api, service, routes, upstream=choices[0])
    if service is None:
        values["name"] = chosen.name or (_free_name(actor, api) if namesake else api.title)
    fields = checked_service(actor, values, service=service)
    existing = list(service.routes.all()) if service else []
    return Plan(
        service=service,
        namesake=namesake,
        fields=fields,
        upstreams=choices,
        changes=tuple(_field_changes(service, fields)),
        routes=tuple(_route_changes(existing, routes)),
        notes=first_notes([*left_out, *api.notes]),
    )


def carry_out(actor: Actor, planned: Plan, *, revision: int | None = None) -> ApiService:
    """Create or change the service as planned. Raises the refusals of the catalogue's services."""
    if planned.service is None:
        return api_services.create_service(actor, fields=planned.fields)
    return api_services.update_service(actor, planned.service.pk, fields=planned.fields, revision=revision)


def _form_values(
    api: Api, service: ApiService | None, routes: tuple[Collapsed, ...], *, upstream: str
) -> dict[str, Any]:
    """The document as form values. An existing route keeps its id, `strip_path` and `is_active`."""
    existing = {route.path: route for route in reversed(service.routes.all())} if service else {}
    rows: list[dict[str, Any]] = []
    for route in routes:
        old = existing.get(route.path)
        flags: dict[str, Any] = {}
        if old:
            is_active = old.status == Route.Status.ACTIVE
            flags = {"id": old.pk, "strip_path": old.strip_path, "is_active": is_active}
        rows.append({"path": route.path, "methods": list(route.methods), **flags})
    values = {
        "version": api.version,
        "description": api.description,
        "upstream_url": upstream,
        "routes": rows,
    }
    return values if service else values | {"status": ApiService.Status.ACTIVE}


def _free_name(actor: Actor, api: Api) -> str:
    """The title with the version, or with the first free number."""
    names = set(
        ApiService.objects.visible_to(actor)
        .filter(name__startswith=api.title[:_STEM])
        .values_list("name", flat=True)
    )
    stem = api.title[:_STEM]
    numbered = (f"{stem} {number}" for number in range(2, len(names) + 3))
    versioned = [f"{stem} {api.version}"] if api.version and len(api.version) < NAME_LENGTH - _STEM else []
    return next(name for name in (*versioned, *numbered) if name not in names)


def _field_changes(service: ApiService | None, fields: ServiceFields) -> Iterable[FieldChange]:
    for name, label in (("name", _("Name")), ("version", _("Version")), ("description", _("Description"))):
        before, after = str(getattr(service, name)) if service else "", str(getattr(fields, name))
        if before != after:
            yield FieldChange(label=label, before=before, after=after)
    if service:
        before = str(UpstreamUrl.of(service))
        after = str(
            UpstreamUrl(
                scheme=fields.upstream_scheme,
                host=fields.upstream_host,
                port=fields.upstream_port,
                path=fields.upstream_path,
            )
        )
        if before != after:
            yield FieldChange(label=_("Upstream URL"), before=before, after=after)


def _route_changes(existing: list[Route], routes: tuple[Collapsed, ...]) -> Iterable[RouteChange]:
    methods_before: dict[str, set[str]] = {}
    for stored in existing:
        methods_before.setdefault(stored.path, set()).update(stored.methods or METHODS)
    for route in routes:
        before = _in_order(methods_before.pop(route.path, set()))
        sources = route.sources if route.is_wider else ()
        yield RouteChange(
            difference=_difference(before, route.methods),
            path=route.path,
            methods=route.methods,
            before=before,
            sources=sources,
            is_everything=route.is_everything,
        )
    for path, methods in methods_before.items():
        yield RouteChange(difference=Difference.REMOVED, path=path, methods=_in_order(methods))


def _difference(before: tuple[str, ...], after: tuple[str, ...]) -> Difference:
    if not before:
        return Difference.ADDED
    return Difference.SAME if before == after else Difference.CHANGED


def _in_order(methods: set[str]) -> tuple[str, ...]:
    return tuple(name for name in METHODS if name in methods)


def _usable(api: Api, document: Document) -> tuple[list[ApiPath], list[Text]]:
    """The usable paths, and the reasons for the others. Raises DocumentRefused without a usable path."""
    usable: list[ApiPath] = []
    left_out: list[Text] = []
    for path in api.paths:
        try:
            validate_path(static_start(path.path))
        except ValidationError as problem:
            left_out += [f"{document.place('paths', path.source)}: {text}" for text in problem.messages]
        else:
            usable.append(path)
    if not usable:
        raise DocumentRefused(*left_out[:MOST_COMPLAINTS])
    return usable, left_out
