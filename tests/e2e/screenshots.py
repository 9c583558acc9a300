"""`make screenshots`: every scene in both languages, themes and sizes, for people to look at."""

from pathlib import Path

import pytest
from django.test import Client
from playwright.sync_api import Page

from tests.e2e.browser import SIZES, Guard, Theme
from tests.e2e.conftest import Open
from tests.e2e.scenes import SCENES, Scene
from tests.world import World

THEMES: tuple[Theme, ...] = ("light", "dark")
FOLDER = Path(__file__).resolve().parents[2] / "screenshots"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_take_screenshots(stage: World, client: Client, open_as: Open, guard: Guard, scene: Scene) -> None:
    FOLDER.mkdir(exist_ok=True)
    path = scene.prepare(stage, client)
    guard.may_refuse = scene.status != 200
    for language in ("ko", "en"):
        page: Page = open_as(None if scene.is_public else client, language=language)
        page.goto(path)
        scene.act(page)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            for width, height in SIZES.values():
                page.set_viewport_size({"width": width, "height": height})
                page.screenshot(
                    path=FOLDER / f"{scene.name}-{language}-{theme}-{width}.png",
                    full_page="dialog" not in scene.name,
                    caret="initial",
                )
        page.context.close()
