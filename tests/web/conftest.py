"""Browsers."""

import pytest
from django.test import Client

from tests.web.browser import signed_in
from tests.web.run import Run
from tests.world import World


@pytest.fixture
def browser(world: World) -> Client:
    """The tenant's owner, reading English."""
    return signed_in(world.user)


@pytest.fixture
def run(world: World) -> Run:
    """The owner's browser before the first step of the wizard."""
    return Run(world, signed_in(world.user))
