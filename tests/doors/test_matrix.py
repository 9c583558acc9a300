"""Every URL, method and persona: who may enter, and that no other tenant's record is reachable."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction

from tests.doors.rows import FORMS, IN, METHODS, OPERATORS_ALONE, PUBLIC, ROWS, SIGN_IN, Outcome
from tests.doors.scene import PERSONAS, Answer, Scene, ids_of
from tests.doors.urls import arguments_of, path_of, routes
from tests.world import make_world

pytestmark = pytest.mark.django_db
ALL = [route for route in routes() if not route.startswith(OPERATORS_ALONE)]
WITH_IDS = [
    route for route in ALL if route in ROWS and any(name.endswith("_id") for name in arguments_of(route))
]
MINE = {
    "tenant_id",
    "tenant",
    "provider_tenant_id",
    "id",
    "status",
    "generation",
    "claimed_host",
    "deleted_at",
    "created_at",
}


@pytest.fixture(scope="module")
def scene(django_db_setup: None, django_db_blocker: Any) -> Iterator[Scene]:
    """One for all tests, because what each request does is taken back."""
    with django_db_blocker.unblock(), transaction.atomic():
        world, other = make_world(), make_world("globex")
        for voice in ("busan-1", "busan-2"):
            world.add_agent(voice)
        other.add_agent("else-1")
        yield Scene(world, other, ids_of(world))
        transaction.set_rollback(True)


def outcome_of(answer: Answer) -> Outcome:
    if answer.is_let_in:
        return IN
    return SIGN_IN if answer.is_sign_in else answer.status


def knocked(scene: Scene, persona: str, method: str, path: str, **request: Any) -> Answer:
    """One request whose effects are taken back."""
    with transaction.atomic():
        answer = scene.knock(persona, method, path, **request)
        transaction.set_rollback(True)
    return answer


@pytest.mark.parametrize("route", [route for route in ALL if route in ROWS])
def test_each_persona_is_told_what_the_row_says(scene: Scene, route: str) -> None:
    ids, row = scene.ids, ROWS[route]
    path, form = path_of(route, ids), FORMS.get(route, "").format(**ids)
    request: dict[str, Any] = {"body": b"{}"}
    if form:
        request = {"body": form.encode(), "content_type": "application/x-www-form-urlencoded"}
    wrong: dict[str, str] = {}
    for method in METHODS:
        access = row.get(method)
        if access is None and PUBLIC in row.values():
            continue
        for persona in PERSONAS if access else ("developer",):
            expected = getattr(access, persona) if access else 405  # a method that the row does not name
            body = request if access and method != "GET" else {}
            outcome = outcome_of(knocked(scene, persona, method, path, **body))
            if outcome != expected:
                wrong[f"{method} {persona}"] = f"{outcome} instead of {expected}"
    assert wrong == {}, f"{route}: {wrong}. If that is meant, change its line in tests/doors/rows.py."


def test_operators_pages_are_for_operators_alone(scene: Scene) -> None:
    for route in routes():
        if (
            route.startswith(OPERATORS_ALONE)
            and not arguments_of(route)
            and "(" not in route
            and not route.startswith(("/admin/login", "/admin/logout", "/admin/jsi18n"))
        ):
            for persona in ("nobody", "viewer", "developer", "stranger", "agent", "revoked"):
                assert knocked(scene, persona, "GET", route).status == 302, (route, persona)
    assert knocked(scene, "operator", "GET", OPERATORS_ALONE).status == 200


@pytest.mark.parametrize("route", WITH_IDS)
def test_ids_written_otherwise_lead_nowhere_else(scene: Scene, route: str) -> None:
    ids, method = scene.ids, next(iter(ROWS[route]))
    plain = path_of(route, ids)
    first_id = str(ids[arguments_of(route)[0]])
    written = (
        first_id.replace("-", "%2D"),
        first_id + "%00",
        first_id + "%0a",
        "%2e%2e%2f" + first_id,
        first_id.upper(),
        "urn:uuid:" + first_id,
        first_id + "%2f",
        first_id.replace("-", ""),
    )
    for persona in ("developer", "stranger"):
        right = outcome_of(knocked(scene, persona, method, plain))
        for otherwise in written:
            assert outcome_of(knocked(scene, persona, method, plain.replace(first_id, otherwise, 1))) in {
                404,
                right,
            }, (
                persona,
                otherwise,
            )


def owners() -> dict[tuple[str, Any], Any]:
    """The tenant of each object, by its model and id."""
    scoped = [
        model
        for model in apps.get_models()
        if any(field.name in {"tenant", "tenant_id"} for field in model._meta.fields)
    ]
    return {
        (model._meta.label, pk): tenant
        for model in scoped
        for pk, tenant in model._default_manager.values_list("pk", "tenant_id")
    }


@pytest.mark.parametrize(
    "route",
    [
        route
        for route in ALL
        if set(ROWS.get(route, {})) & {"POST", "PUT"} and set(ROWS[route]) != set(METHODS)
    ],
)
def test_nothing_can_be_assigned_that_is_not_a_field_of_the_request(scene: Scene, route: str) -> None:
    path = path_of(route, scene.ids)
    before, theirs = owners(), str(scene.other.tenant.pk)
    for method in sorted(set(ROWS[route]) & {"POST", "PUT"}):
        for content_type, body in (
            ("application/json", _json(theirs)),
            ("application/x-www-form-urlencoded", "&".join(f"{name}={theirs}" for name in MINE)),
        ):
            with transaction.atomic():
                answer = scene.knock("developer", method, path, body=body.encode(), content_type=content_type)
                after = owners()
                transaction.set_rollback(True)
            assert answer.status < 500, (method, content_type)
            assert {key: after[key] for key in before if key in after} == {
                key: before[key] for key in before if key in after
            }
            assert {after[key] for key in set(after) - set(before)} <= {scene.world.tenant.pk}, (
                method,
                content_type,
            )


def _json(theirs: str) -> str:
    return "{" + ", ".join(f'"{name}": "{theirs}"' for name in sorted(MINE)) + "}"
