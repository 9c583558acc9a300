"""Axe finds nothing on any page, in either theme, at either width."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client

from tests.e2e.browser import SIZES, Guard
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
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for size in SIZES.values():
            page.set_viewport_size({"width": size[0], "height": size[1]})
            found = Axe().run(page)
            assert found.violations_count == 0, f"{theme} {size}\n{found.generate_report()}"
