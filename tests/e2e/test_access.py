"""Axe has no complaint about any page: light on a desktop, dark on a phone. Scenes share pages."""

import pytest
from django.db import connection

from tests.e2e.browser import Guard, complaints, show_at, use_session
from tests.e2e.conftest import Open, owner_of, set_stage
from tests.e2e.scenes import SCENES

PARTS = 4
KEPT_TABLES = {"django_migrations", "django_content_type", "auth_permission"}


def emptied() -> None:
    """No row is left of the scene before. Deleting them takes a tenth of what truncating the tables takes."""
    with connection.cursor() as cursor:
        names = set(connection.introspection.table_names(cursor)) - KEPT_TABLES
        deletions = "".join(f"DELETE FROM {connection.ops.quote_name(name)};" for name in names)  # noqa: S608 - our own tables
        cursor.execute(
            f"SET session_replication_role = replica; {deletions} SET session_replication_role = DEFAULT"
        )


@pytest.mark.parametrize("part", range(PARTS))
def test_axe_finds_nothing(transactional_db: None, open_as: Open, guard: Guard, part: int) -> None:
    page, reports = open_as(language="ko"), {}
    for scene in SCENES[part::PARTS]:
        page.goto("about:blank")
        emptied()
        world = set_stage()
        client = owner_of(world)
        path, guard.may_refuse = scene.prepare(world, client), scene.status != 200
        use_session(
            page.context, "" if scene.is_public else client.cookies["sessionid"].value, home=guard.home
        )
        show_at(page, size="desktop", theme="light")
        page.goto(path)
        scene.act(page)
        reports[scene.name] = complaints(page) + "".join(guard.problems)
        guard.problems.clear()
    assert {name: text for name, text in reports.items() if text} == {}
