"""The calls of each verb on a Kong with a database, for 3 services and 10 routes, and those of a simpler
client.

The table stands in docs/kong.md; the last test holds it to what is counted here.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from agent.drivers.kong import markers, routing
from agent.drivers.kong.entities import PARENTS, PATHS, Entity
from agent.protocol.spec import Auth, AuthMode, Spec
from tests.agent.doubles import absent, withdrawn
from tests.agent.drivers.kong.gateway import Gateway, changed, key, three_services, with_tokens
from tests.agent.gateway import hold
from tests.doubles.kong.admin import Admin, Call
from tests.doubles.kong.node import Kong

DOCS = Path(__file__).parents[4] / "docs" / "kong.md"
STEPS = ("fresh", "unchanged", "one route changed", "withdraw", "re-publish", "delete")
AUTHS = {
    "none": Auth(),
    "api-key, one key": Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=(key("one", "key-one"),)),
    "oauth2, one key": with_tokens(9).auth,
}
AGENT_COSTS = {
    "none": {
        "fresh": (3, 22),
        "unchanged": (3, 0),
        "one route changed": (3, 3),
        "withdraw": (3, 7),
        "re-publish": (3, 7),
        "delete": (3, 16),
    },
    "api-key, one key": {
        "fresh": (8, 34),
        "unchanged": (3, 0),
        "one route changed": (3, 6),
        "withdraw": (3, 8),
        "re-publish": (6, 11),
        "delete": (6, 18),
    },
    "oauth2, one key": {
        "fresh": (8, 38),
        "unchanged": (3, 0),
        "one route changed": (3, 6),
        "withdraw": (3, 8),
        "re-publish": (6, 12),
        "delete": (6, 18),
    },
}
"""Step → reads (of entities) and writes."""


def steps_of(auth: Auth) -> list[Spec]:
    fresh = three_services(9, auth=auth)
    first, *other_services = fresh.services
    longer = first.routes[0].model_copy(update={"path": "/a1/more"})
    altered = first.model_copy(update={"routes": (longer, *first.routes[1:])})
    changed_spec = changed(fresh, generation=2, services=(altered, *other_services))
    return [
        fresh,
        fresh,
        changed_spec,
        withdrawn(fresh, generation=3),
        changed(changed_spec, generation=4),
        absent(fresh, generation=5),
    ]


def counted(gateway: Gateway, spec: Spec) -> tuple[int, int]:
    gateway.kong.faults.clear()
    gateway.memory.apply(spec)
    return len(gateway.kong.faults.reads()), len(gateway.kong.faults.writes())


@pytest.mark.parametrize("name", AUTHS)
def test_each_verb_costs_what_the_table_says(db: Gateway, name: str) -> None:
    costs = {step: counted(db, spec) for step, spec in zip(STEPS, steps_of(AUTHS[name]), strict=True)}
    assert costs == AGENT_COSTS[name]
    assert db.counts() == {}


def test_an_agent_started_anew_reads_keys_once(db: Gateway) -> None:
    spec = three_services(9, auth=AUTHS["api-key, one key"])
    db.memory.apply(spec)
    anew = Gateway(db.kong)
    assert [counted(anew, spec) for _ in range(2)] == [(5, 0), (3, 0)]


class WithoutIds:
    """A client that lets Kong choose ids and keeps none.

    It looks for each entity by name, or among its parent's plugins, and creates what is missing.
    """

    def __init__(self) -> None:
        self.admin = Admin(store=Kong().store)
        self.reads = self.writes = 0

    def bring(self, entities: Iterable[Entity]) -> tuple[int, int]:
        self.reads = self.writes = 0
        ids: dict[str, str] = {}
        unclaimed = {
            path: {row["id"] for row in self._call("GET", f"/{path}?tags=imp&size=1000")["data"]}
            for path in ("services", "routes", "plugins")
        }
        for entity in sorted(entities, key=lambda row: row.wave):
            unclaimed[PATHS[entity.kind]].discard(self._bring_entity(entity, ids))
        for path in ("plugins", "routes", "services"):
            for unclaimed_id in unclaimed[path]:
                self._call("DELETE", f"/{path}/{unclaimed_id}")
        return self.reads, self.writes

    def _bring_entity(self, entity: Entity, ids: dict[str, str]) -> str:
        body = {
            name: {"id": ids[value["id"]]} if name in PARENTS and value else value
            for name, value in entity.body.items()
        }
        row = self._find(entity, body)
        if row is None:
            row = self._call("POST", f"/{PATHS[entity.kind]}", body)
        elif any(
            row.get(name) != value for name, value in body.items() if name not in {"config", "tags"}
        ) or self._differs(row, body):
            row = self._call("PATCH", f"/{PATHS[entity.kind]}/{row['id']}", body)
        ids[str(entity.id)] = row["id"]
        return str(row["id"])

    def _find(self, entity: Entity, body: dict[str, Any]) -> dict[str, Any] | None:
        if entity.kind != "plugins":
            row = self._call("GET", f"/{PATHS[entity.kind]}/{body['name']}")
            return row if "id" in row else None
        kind, reference = next((PARENTS[name], body[name]) for name in PARENTS if body.get(name))
        return next(
            (
                row
                for row in self._call("GET", f"/{kind}/{reference['id']}/plugins")["data"]
                if row["name"] == body["name"]
            ),
            None,
        )

    def _differs(self, row: dict[str, Any], body: dict[str, Any]) -> bool:
        return (
            any(row["config"].get(name) != value for name, value in body.get("config", {}).items())
            if "config" in body
            else False
        )

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        self.reads, self.writes = self.reads + (method == "GET"), self.writes + (method != "GET")
        answer = self.admin.answer(
            Call(
                method=method,
                path=path,
                content_type="application/json",
                body=json.dumps(body).encode() if body else b"",
            )
        )
        return json.loads(answer.body) if answer.body else {}


CLIENT_COSTS = {
    "fresh": (25, 22),
    "unchanged": (25, 0),
    "one route changed": (25, 3),
    "withdraw": (9, 20),
    "re-publish": (25, 20),
    "delete": (3, 22),
}


def entities_of(spec: Spec, current: list[Entity]) -> list[Entity]:
    """What a client would want that does not keep what it switched off."""
    if not spec.services and not spec.host:
        return []
    entities = (
        routing.live_entities(hold(spec), routing.Options())
        if spec.services
        else routing.withdrawn_entities(spec, current)
    )
    return markers.marked(spec, entities)


def test_a_client_without_ids_of_its_own_needs_more() -> None:
    client = WithoutIds()
    assert {
        step: client.bring(entities_of(spec, [])) for step, spec in zip(STEPS, steps_of(Auth()), strict=True)
    } == CLIENT_COSTS


def test_the_documentation_has_these_very_numbers() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for step in STEPS:
        cells = [
            f"{reads} + {writes}"
            for reads, writes in (*(AGENT_COSTS[name][step] for name in AUTHS), CLIENT_COSTS[step])
        ]
        assert f"| {step} | {' | '.join(cells)} |" in text
