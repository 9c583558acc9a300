"""The route of a request, as Kong's `traditional_compatible` router decides, and the upstream's path."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.doubles.kong import paths
from tests.doubles.kong.schemas import Entity


@dataclass(frozen=True, kw_only=True)
class Match:
    """A route and its service, and how much of the path it matched."""

    route: Entity
    service: Entity | None
    path: str
    matched: str


@dataclass(frozen=True, kw_only=True)
class _Way:
    """One path of one route, ready to be compared. Among ways that match, the highest rank wins."""

    route: Entity
    path: str | None
    pattern: re.Pattern[str] | None
    rank: tuple[Any, ...]


def ways_of(routes: Iterable[Entity], services: Mapping[str, Entity]) -> list[_Way]:
    """The router's table, best first: the routes of disabled services are not in it."""
    ways = [way for route in routes if _is_open(route, services) for way in _ways(route)]
    return sorted(ways, key=lambda way: way.rank, reverse=True)


def find(
    ways: Iterable[_Way], services: Mapping[str, Entity], *, host: str, method: str, path: str
) -> Match | None:
    """The route for a request with this normal path."""
    for way in ways:
        matched = _matched(way, host, method, path)
        if matched is not None:
            service = way.route["service"]
            return Match(
                route=way.route,
                service=services[service["id"]] if service else None,
                path=path,
                matched=matched,
            )
    return None


def upstream_path(match: Match, service: Entity) -> str:
    """What the upstream is asked for, without the query (path handling v0)."""
    base, asked = service["path"] or "/", match.path
    if not match.route["strip_path"]:
        if base.endswith("/"):
            return str(base + asked.lstrip("/"))
        return str(base if asked == "/" else base + asked)
    remainder = asked[len(match.matched) :]
    if base.endswith("/"):
        if remainder:
            return str(base + remainder.lstrip("/"))
        return str(base if base == "/" or asked.endswith("/") else base[:-1])
    if not remainder:
        return str(base + "/" if len(asked) > 1 and asked.endswith("/") else base)
    return str(base + "/" + remainder.lstrip("/"))


def _is_open(route: Entity, services: Mapping[str, Entity]) -> bool:
    return route["service"] is None or (services.get(route["service"]["id"]) or {"enabled": False})["enabled"]


def _ways(route: Entity) -> list[_Way]:
    criteria = sum(bool(route[key]) for key in ("hosts", "paths", "methods"))
    exact = 0 if any("*" in host for host in route["hosts"] or []) else 1
    return [_way(route, path, (criteria, exact)) for path in route["paths"] or [None]]


def _way(route: Entity, path: str | None, first: tuple[int, int]) -> _Way:
    if path is not None and path.startswith("~"):
        pattern = re.compile(paths.python_regex(path[1:]))
        return _Way(
            route=route, path=None, pattern=pattern, rank=(*first, 1, route["regex_priority"], 0, route["id"])
        )
    return _Way(route=route, path=path, pattern=None, rank=(*first, 0, 0, len(path or ""), route["id"]))


def _matched(way: _Way, host: str, method: str, path: str) -> str | None:
    if way.route["methods"] and method not in way.route["methods"]:
        return None
    if way.route["hosts"] and not any(_host_matches(wanted, host) for wanted in way.route["hosts"]):
        return None
    if way.pattern:
        matched = way.pattern.match(path)
        return matched.group() if matched else None
    if way.path is None:
        return ""
    return way.path if path.startswith(way.path) else None


def _host_matches(wanted: str, host: str) -> bool:
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    if ":" in wanted:
        return wanted == host
    if wanted.startswith("*."):
        return name.endswith(wanted[1:])
    if wanted.endswith(".*"):
        return name.startswith(wanted[:-1])
    return wanted == name
