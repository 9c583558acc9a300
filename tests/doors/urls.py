"""Every URL of the project, as the resolver knows it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")


def routes() -> list[str]:
    """`/provider/products/<uuid:product_id>` and the like, all of them."""
    return sorted(
        {"/" + route.replace("<uuidstr:", "<uuid:") for route in _walk(get_resolver().url_patterns, "")}
    )


def arguments_of(route: str) -> list[str]:
    """The names of its parameters."""
    return _ARGUMENT.findall(route)


def path_of(route: str, ids: Mapping[str, Any]) -> str:
    """The route with these ids in it."""
    for name in arguments_of(route):
        assert name in ids, (
            f"{route} has an unknown parameter {name!r}: add it to ids_of in tests/doors/scene.py."
        )
    return _ARGUMENT.sub(lambda argument: str(ids[argument[1]]), route)


def _walk(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        else:
            yield route
