"""Clients of the JSON API."""

import pytest
from django.test import Client

from core.api import limits
from tenants.actors import Role
from tenants.tokens import create_api_token
from tests.world import World


def client_for(world: World, role: Role = Role.DEVELOPER) -> Client:
    """A client with an API token of that role."""
    token = create_api_token(world.tenant, name=f"{role} token", role=role)
    return Client(headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(autouse=True)
def long_minutes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No minute of the rate limit ends during a test of the API: a new share would be one more query."""
    if not {"api", "agent_api"} & set(request.path.parts):
        return
    monkeypatch.setattr(
        limits, "_RESERVE", limits._RESERVE.replace("'minute'", "'year'").replace("1 minute", "1 year")
    )


@pytest.fixture
def api(world: World) -> Client:
    """A developer of the tenant."""
    return client_for(world)


@pytest.fixture
def viewer(world: World) -> Client:
    """A viewer of the tenant."""
    return client_for(world, Role.VIEWER)


@pytest.fixture
def stranger(other: World) -> Client:
    """A developer of another tenant."""
    return client_for(other)


@pytest.fixture
def owner(world: World) -> Client:
    """An owner of the tenant."""
    return client_for(world, Role.OWNER)
