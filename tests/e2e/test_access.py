"""Axe finds nothing on any page: light on a desktop, dark on a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client

from tests.e2e.browser import SIZES, Guard, Theme
from tests.e2e.conftest import Open
from tests.e2e.scenes import SCENES, Scene
from tests.world import World


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_axe_finds_nothing(stage: World, client: Client, open_as: Open, guard: Guard, scene: Scene) -> None:
    path = scene.prepare(stage, client)
    guard.may_refuse = scene.status != 200
    page = open_as(None if scene.is_public else client, language="ko")
    page.goto(path)
    scene.act(page)
    looks: tuple[tuple[Theme, str], ...] = (("light", "desktop"), ("dark", "phone"))
    for theme, size in looks:
        width, height = SIZES[size]
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": height})
        found = Axe().run(page, options={"resultTypes": ["violations"]})
        assert found.violations_count == 0, f"{theme} {size}\n{found.generate_report()}"
