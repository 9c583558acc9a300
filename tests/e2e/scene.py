"""A scene: what has to stand in the database, where to go, and what to do there before it is looked at."""

from collections.abc import Callable
from dataclasses import dataclass

from django.test import Client
from playwright.sync_api import Page

from tests.world import World


@dataclass(frozen=True, kw_only=True)
class Scene:
    """`prepare` may use the session, and returns the path; `act` runs in the browser on that page."""

    name: str
    prepare: Callable[[World, Client], str]
    act: Callable[[Page], object] = lambda page: None
    is_public: bool = False
    status: int = 200
