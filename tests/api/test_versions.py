"""ETag and If-Match: a change is refused when the world moved since it was looked at."""

import json
from typing import Any

import pytest
from django.test import Client

from publishes.models import ProductPublish
from tests.world import World

P = "/api/v1/provider"


def put(api: Client, publish: ProductPublish, body: Any, **headers: str) -> Any:
    return api.put(f"{P}/product-publishes/{publish.pk}", json.dumps(body), content_type="application/json", headers=headers)


def test_a_change_on_what_was_seen_passes_and_on_what_moved_is_412(api: Client, world: World) -> None:
    publish = world.draft()
    seen = api.get(f"{P}/product-publishes/{publish.pk}").headers["ETag"]
    assert api.get(f"{P}/product-publishes/{publish.pk}").headers["ETag"] == seen
    changed = put(api, publish, {"environment": "stage"}, **{"If-Match": seen})
    assert (changed.status_code, changed.headers["ETag"] != seen) == (200, True)
    refused = put(api, publish, {"environment": "prod"}, **{"If-Match": seen})
    assert (refused.status_code, refused.json()["code"]) == (412, "changed_meanwhile")
    publish.refresh_from_db()
    assert publish.environment == "stage"
    assert put(api, publish, {"environment": "prod"}, **{"If-Match": changed.headers["ETag"]}).status_code == 200


@pytest.mark.parametrize(("if_match", "status"), [("*", 200), ('"other"', 412), ('W/"weak"', 412), ("", 412)])
def test_if_match_names_versions(api: Client, world: World, if_match: str, status: int) -> None:
    assert put(api, world.draft(), {"environment": "stage"}, **{"If-Match": if_match}).status_code == status


def test_one_of_several_versions_is_enough_and_none_is_needed(api: Client, world: World) -> None:
    publish = world.draft()
    seen = api.get(f"{P}/product-publishes/{publish.pk}").headers["ETag"]
    assert put(api, publish, {"environment": "stage"}, **{"If-Match": f'"other", {seen}'}).status_code == 200
    assert put(api, publish, {"environment": "prod"}).status_code == 200


def test_what_is_not_editable_says_so_before_its_version(api: Client, world: World) -> None:
    refused = put(api, world.published(), {"environment": "stage"}, **{"If-Match": '"other"'})
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
