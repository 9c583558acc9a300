"""The answers of Kong itself for a publish: the markers, and every path that no service has.

Pure functions; only this module knows their paths' routes and bodies.
"""

import json
import re
from uuid import UUID

from agent.drivers.kong import auth
from agent.drivers.kong.entities import WAVES, Entity, checksum, own_id
from agent.drivers.kong.parts import plugin, route_entity
from agent.drivers.problems import PROBLEM_TYPE, WITHDRAWN_BODY
from agent.drivers.proof import auth_marker_path, marker_path, marker_prefix
from agent.protocol.spec import AuthMode, Spec, State

REST_WAVE, MARKER_WAVE = 4, 5
OTHER_GENERATION = "other_generation"


def marked(spec: Spec, entities: list[Entity]) -> list[Entity]:
    """The entities with the marker, which carries generation, digest and checksum, and is written last."""
    route_id, path = own_id(spec.publish_id, "route:marker"), marker_path(spec)
    tags = [f"imp-digest:{spec.digest}", f"imp-state:{spec.state.value}"]
    status, body, kind = (
        (200, str(spec.generation), "text/plain")
        if spec.state == State.LIVE
        else (410, withdrawn_body(spec.generation), PROBLEM_TYPE)
    )
    route = route_entity(spec, "marker", paths=[f"~{re.escape(path)}$"], methods=["GET"], wave=MARKER_WAVE)
    answer = _answer(
        spec, "marker", route_id, status=status, body=body, content_type=kind, wave=MARKER_WAVE + 1
    )
    route = route.with_body(tags=[*route.body["tags"], *tags])
    return [
        *entities,
        route.with_body(tags=[*route.body["tags"], f"imp-sum:{checksum([*entities, route, answer])}"]),
        answer,
    ]


def auth_marker(spec: Spec) -> list[Entity]:
    """The marker behind the guards of the publish; none where it asks for no credentials."""
    if spec.auth.mode == AuthMode.NONE:
        return []
    route_id = own_id(spec.publish_id, "route:auth-marker")
    route = route_entity(
        spec, "auth-marker", paths=[f"~{re.escape(auth_marker_path(spec))}$"], methods=["GET"]
    )
    answer = _answer(
        spec,
        "auth-marker",
        route_id,
        status=200,
        body=str(spec.generation),
        content_type="text/plain",
        wave=WAVES["plugins"],
    )
    # Written after the services' plugins: a worker that has these plugins has those too.
    return [route, answer, *auth.guards(spec, "route", route_id, wave=WAVES["plugins"] + 1)]


def catch_all(spec: Spec, status: int, body: str, *, paths: list[str]) -> list[Entity]:
    """The route for every path that no service has."""
    marker = f"~{re.escape(marker_prefix(spec))}$"
    route = route_entity(spec, "rest", paths=[*paths, marker], methods=None, wave=REST_WAVE)
    return [
        route,
        _answer(
            spec, "rest", route.id, status=status, body=body, content_type=PROBLEM_TYPE, wave=REST_WAVE + 1
        ),
    ]


def other_generations(spec: Spec) -> list[Entity]:
    """The route for the markers of all other generations; it is written first.

    A worker that lags behind answers here, and no upstream hears of the request.
    """
    status, body = (404, other_generation_body(spec)) if spec.state == State.LIVE else (410, WITHDRAWN_BODY)
    route = route_entity(
        spec,
        "others",
        paths=[f"~{re.escape(marker_prefix(spec))}/"],
        methods=["GET"],
        wave=WAVES["services"],
        priority=0,
    )
    return [
        route,
        _answer(
            spec, "others", route.id, status=status, body=body, content_type=PROBLEM_TYPE, wave=REST_WAVE + 1
        ),
    ]


def withdrawn_body(generation: int) -> str:
    """The body of a withdrawn publish's marker: the problem of all other paths, and the generation."""
    return json.dumps({**json.loads(WITHDRAWN_BODY), "generation": generation}, ensure_ascii=False)


def other_generation_body(spec: Spec) -> str:
    """The body of all other generations' markers.

    Where a publish asks for credentials it holds the generation: only a worker with its plugins knows that.
    """
    generation = {} if spec.auth.mode == AuthMode.NONE else {"generation": spec.generation}
    return json.dumps(
        {"type": "about:blank", "title": "Not Found", "status": 404, "code": OTHER_GENERATION, **generation}
    )


def marker_ids(publish: UUID) -> frozenset[UUID]:
    """The ids of the markers, the catch-all, and their plugins."""
    names = ("marker", "auth-marker", "rest", "others")
    plugins = ("request-termination", *auth.PLUGINS)
    ids = {own_id(publish, f"route:{name}") for name in names}
    return frozenset(
        ids | {own_id(publish, f"plugin:{kind}:{route_id}") for kind in plugins for route_id in ids}
    )


def is_marker(publish: UUID, entity: Entity) -> bool:
    """True for the markers, the catch-all, and their plugins."""
    return entity.id in marker_ids(publish)


def _answer(
    spec: Spec, name: str, route_id: UUID, *, status: int, body: str, content_type: str, wave: int
) -> Entity:
    config = {"status_code": status, "content_type": content_type, "body": body}
    assert route_id == own_id(spec.publish_id, f"route:{name}")  # noqa: S101
    return plugin(spec, "request-termination", "route", route_id, config=config, wave=wave)
