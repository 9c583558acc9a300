"""A scene: what has to stand in the database, where to go, and what to do there before it is looked at."""

from collections.abc import Callable
from dataclasses import dataclass

from django.test import Client
from playwright.sync_api import Page

from tests.world import World


@dataclass(frozen=True, kw_only=True)
class Scene:
    """`prepare` returns the path, and may walk with the session first; `act` is done in the browser once the page is there."""

    name: str
    prepare: Callable[[World, Client], str]
    act: Callable[[Page], object] = lambda page: None
    is_public: bool = False
    status: int = 200
