"""Paths of an OpenAPI document as our routes, which match a path and everything below it."""

from collections.abc import Iterable
from dataclasses import dataclass

from products.models import METHODS
from products.openapi.document import ApiPath


@dataclass(frozen=True, kw_only=True)
class Collapsed:
    """A route with the document's paths that it covers."""

    path: str
    methods: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def is_wider(self) -> bool:
        """Whether it opens more than the document names."""
        return self.sources != (self.path,)

    @property
    def is_everything(self) -> bool:
        """Whether it opens every path: a route matches its path and everything below it."""
        return self.path == "/"


def collapse(paths: Iterable[ApiPath]) -> tuple[Collapsed, ...]:
    """The fewest routes that serve all of the paths.

    A path is cut before its first parameter: /pets/{id}/photos becomes /pets. Paths with the same start
    become one route with all their methods. A path that a shorter route already serves has no route of its
    own.
    """
    methods: dict[str, set[str]] = {}
    sources: dict[str, list[str]] = {}
    for source in paths:
        start = static_start(source.path)
        methods.setdefault(start, set()).update(source.methods)
        sources.setdefault(start, []).append(source.path)
    for path in sorted(methods, key=lambda path: (len(path), path)):
        covering = next(
            (above for above in _above(path) if above in methods and methods[path] <= methods[above]), None
        )
        if covering is not None:
            sources[covering] += sources.pop(path)
            del methods[path]
    ordered = {path: tuple(name for name in METHODS if name in methods[path]) for path in methods}
    return tuple(
        Collapsed(path=path, methods=ordered[path], sources=tuple(sources[path])) for path in sorted(methods)
    )


def static_start(path: str) -> str:
    """The whole segments before a path's first parameter."""
    static_segments: list[str] = []
    for segment in path.split("/")[1:]:
        if "{" in segment or "}" in segment:
            break
        static_segments.append(segment)
    return "/" + "/".join(static_segments).rstrip("/")


def _above(path: str) -> list[str]:
    """The paths whose routes match this one too, the nearest first."""
    segments = path.strip("/").split("/")
    return (
        ["/" + "/".join(segments[:count]) for count in range(len(segments) - 1, -1, -1)]
        if path != "/"
        else []
    )
