"""Schemathesis tests the API against its document, once per role: no 5xx, no undocumented answer.

Each request is rolled back. A bounded run; `make test-long` sends a hundred times as many requests.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CheckFunction, load_all_checks, not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tenants.actors import Role
from tenants.tokens import create_api_token
from tests.doors.scene import ids_of
from tests.world import World

CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
BOUNDED, FULL = 3, 300
ROLES = [Role.VIEWER, Role.DEVELOPER, Role.OWNER]
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
pytestmark = pytest.mark.django_db


@pytest.fixture
def schema(db: None) -> Iterator[Any]:
    """The document, read from the application without closing the test's database connection."""
    load_all_checks()
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def operations(schema: Any) -> Iterator[Any]:
    for result in schema.get_all_operations():
        yield result.ok()


def ask(
    operation: Any,
    *,
    ids: dict[str, Any],
    headers: dict[str, str],
    examples: int,
    mode: GenerationMode,
    statuses: Counter[str],
) -> None:
    """Send that many requests to one operation, most of them with ids that exist."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode), is_ours=st.sampled_from([True, True, False]))
    def check(case: Any, is_ours: bool) -> None:
        if is_ours:
            case.path_parameters = {
                name: str(ids.get(name, value)) for name, value in (case.path_parameters or {}).items()
            }
            if isinstance(case.body, dict):
                case.body = {
                    name: str(ids[name]) if name in ids else value for name, value in case.body.items()
                }
        with transaction.atomic():
            response = case.call(headers=headers)
            transaction.set_rollback(True)
        statuses[str(response.status_code)] += 1
        case.validate_response(response, checks=CHECKS)

    check()


def run(
    world: World,
    schema: Any,
    *,
    role: str,
    examples: int,
    modes: Sequence[GenerationMode] = (POSITIVE, NEGATIVE),
) -> Counter[str]:
    ids, statuses = ids_of(world), Counter[str]()
    headers = (
        {}
        if role == "nobody"
        else {"Authorization": f"Bearer {create_api_token(world.tenant, name='fuzz', role=Role(role))}"}
    )
    for operation in operations(schema):
        for mode in modes:
            if (
                mode is NEGATIVE
                and operation.method == "get"
                and not operation.path_parameters
                and not operation.query
            ):
                continue
            ask(operation, ids=ids, headers=headers, examples=examples, mode=mode, statuses=statuses)
    print(f"\n{role}: {sum(statuses.values())} requests, {dict(sorted(statuses.items()))}")  # noqa: T201 - the summary, shown by -s and after a failure
    return statuses


@pytest.mark.parametrize("role", ROLES)
def test_no_5xx_and_no_undocumented_answer(world: World, schema: Any, role: str) -> None:
    modes = [NEGATIVE] if role == Role.VIEWER else [POSITIVE]
    statuses = run(world, schema, role=role, examples=BOUNDED, modes=modes)
    assert {"200", "404"} <= set(statuses)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("role", ["nobody", *ROLES])
def test_no_5xx_and_no_undocumented_answer_in_a_long_run(world: World, schema: Any, role: str) -> None:
    assert sum(run(world, schema, role=role, examples=FULL).values()) > 1_000
