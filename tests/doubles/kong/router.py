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
class _Candidate:
    """One path of one route, ready to be compared. Of the candidates that match, the highest rank wins."""

    route: Entity
    path: str | None
    pattern: re.Pattern[str] | None
    rank: tuple[Any, ...]


def candidates_of(routes: Iterable[Entity], services: Mapping[str, Entity]) -> list[_Candidate]:
    """The router's table, best first: the routes of disabled services are not in it."""
    candidates = [
        candidate for route in routes if _is_open(route, services) for candidate in _candidates(route)
    ]
    return sorted(candidates, key=lambda candidate: candidate.rank, reverse=True)


def find(
    candidates: Iterable[_Candidate], services: Mapping[str, Entity], *, host: str, method: str, path: str
) -> Match | None:
    """The route for a request with this normal path."""
    for candidate in candidates:
        matched = _matched(candidate, host, method, path)
        if matched is not None:
            service = candidate.route["service"]
            return Match(
                route=candidate.route,
                service=services[service["id"]] if service else None,
                path=path,
                matched=matched,
            )
    return None


def upstream_path(match: Match, service: Entity) -> str:
    """The path of the request to the upstream, without the query (path handling v0)."""
    base, path = service["path"] or "/", match.path
    if not match.route["strip_path"]:
        if base.endswith("/"):
            return str(base + path.lstrip("/"))
        return str(base if path == "/" else base + path)
    remainder = path[len(match.matched) :]
    if base.endswith("/"):
        if remainder:
            return str(base + remainder.lstrip("/"))
        return str(base if base == "/" or path.endswith("/") else base[:-1])
    if not remainder:
        return str(base + "/" if len(path) > 1 and path.endswith("/") else base)
    return str(base + "/" + remainder.lstrip("/"))


def _is_open(route: Entity, services: Mapping[str, Entity]) -> bool:
    return route["service"] is None or (services.get(route["service"]["id"]) or {"enabled": False})["enabled"]


def _candidates(route: Entity) -> list[_Candidate]:
    criteria = sum(bool(route[key]) for key in ("hosts", "paths", "methods"))
    exact = 0 if any("*" in host for host in route["hosts"] or []) else 1
    return [_candidate(route, path, (criteria, exact)) for path in route["paths"] or [None]]


def _candidate(route: Entity, path: str | None, first: tuple[int, int]) -> _Candidate:
    if path is not None and path.startswith("~"):
        pattern = re.compile(paths.python_regex(path[1:]))
        return _Candidate(
            route=route, path=None, pattern=pattern, rank=(*first, 1, route["regex_priority"], 0, route["id"])
        )
    return _Candidate(route=route, path=path, pattern=None, rank=(*first, 0, 0, len(path or ""), route["id"]))


def _matched(candidate: _Candidate, host: str, method: str, path: str) -> str | None:
    if candidate.route["methods"] and method not in candidate.route["methods"]:
        return None
    if candidate.route["hosts"] and not any(
        _host_matches(pattern, host) for pattern in candidate.route["hosts"]
    ):
        return None
    if candidate.pattern:
        matched = candidate.pattern.match(path)
        return matched.group() if matched else None
    if candidate.path is None:
        return ""
    return candidate.path if path.startswith(candidate.path) else None


def _host_matches(pattern: str, host: str) -> bool:
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    if ":" in pattern:
        return pattern == host
    if pattern.startswith("*."):
        return name.endswith(pattern[1:])
    if pattern.endswith(".*"):
        return name.startswith(pattern[:-1])
    return pattern == name
