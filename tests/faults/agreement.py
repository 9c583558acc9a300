"""Whether gateway, database and page agree on a publish: each is asked itself, and every difference named."""

import json
import time
from collections.abc import Iterator
from itertools import pairwise

import httpx2

from agent.drivers.envoy.entries import publish_in
from tests.faults.publish import Publish
from tests.faults.stack import Stack, eventually

STATUS_AT_GATEWAY = {"DRAFT": 404, "PUBLISHED": 200, "WITHDRAWN": 410}
PATIENCE_S = 30.0
"""How much longer than a fault's bound we look, so that its true time is known."""


def agree(
    stack: Stack,
    publish: Publish,
    status: str,
    *,
    within_s: float,
    since: float | None = None,
    agents: list[str] | None = None,
) -> float:
    """Wait until all three agree on that status; returns the seconds since then (or now).

    They must take `within_s` at most.
    """
    began = since or time.monotonic()
    eventually(
        lambda: not next(differences(stack, publish, status, agents=agents or stack.agents), None),
        within_s=within_s + PATIENCE_S,
        every_s=0.1,
    )
    took = time.monotonic() - began
    assert not list(differences(stack, publish, status, agents=agents or stack.agents))
    assert took <= within_s, f"agreed after {took:.1f} s"
    return took


def differences(stack: Stack, publish: Publish, status: str, *, agents: list[str]) -> Iterator[str]:
    """What does not say that the publish has this status, in words; the cheapest to ask comes first."""
    try:
        yield from _in_database(stack, publish, status, agents)
        generation = int(
            stack.rows("SELECT generation FROM publishes_productpublish WHERE id = %s", publish.id)[0][0]
        )
        for agent in agents:
            yield from _at_gateway(stack, publish, status, agent, generation)
        yield from _on_page(stack, publish, status, agents, generation)
    except httpx2.HTTPError as problem:
        yield f"somebody does not answer: {problem!r}"


def _in_database(stack: Stack, publish: Publish, status: str, agents: list[str]) -> Iterator[str]:
    ((database_status, generation),) = stack.rows(
        "SELECT status, generation FROM publishes_productpublish WHERE id = %s", publish.id
    )
    if database_status != status:
        yield f"the database says {database_status}"
    if stack.rows(
        "SELECT FROM publishes_operation WHERE publish_id = %s AND phase IN ('QUEUED', 'SENT')", publish.id
    ):
        yield "an operation is open"
    if not generation:
        return
    verified_rows = stack.rows(
        "SELECT a.name FROM publishes_observation o JOIN clusters_agent a ON a.id = o.agent_id"
        " JOIN publishes_productpublish p ON p.id = o.publish_id"
        " WHERE p.id = %s AND o.generation = p.generation AND o.digest = p.desired_digest"
        " AND o.verified ORDER BY a.name",
        publish.id,
    )
    if [name for (name,) in verified_rows] != sorted(agents):
        yield f"these agents have proved it: {verified_rows}"
    yield from _in_history(stack, publish, status)


def _in_history(stack: Stack, publish: Publish, status: str) -> Iterator[str]:
    """One line per transition, each from where the one before led to."""
    moves = stack.rows(
        "SELECT from_status, to_status FROM publishes_publishevent WHERE publish_id = %s"
        " AND to_status <> '' ORDER BY id",
        publish.id,
    )
    if any(before[1] != after[0] for before, after in pairwise(moves)) or moves[-1][1] != status:
        yield f"the history says {moves}"
    ((succeeded,),) = stack.rows(
        "SELECT count(*) FROM publishes_operation WHERE publish_id = %s"
        " AND phase = 'SUCCEEDED' AND kind IN ('publish', 'withdraw')",
        publish.id,
    )
    if succeeded != len(moves) - 1:
        yield f"{succeeded} operations made {len(moves) - 1} transitions"


def _at_gateway(stack: Stack, publish: Publish, status: str, agent: str, generation: int) -> Iterator[str]:
    answer = stack.at_gateway(publish.host, "/billing", agent=agent).status_code
    if answer != STATUS_AT_GATEWAY[status]:
        yield f"callers at {agent} get {answer}"
    marker = stack.at_gateway(publish.host, f"/.well-known/imp/{publish.id}/{generation}", agent=agent)
    if status != "DRAFT" and marker.headers.get("imp-generation") != str(generation):
        yield f"the gateway of {agent} does not carry generation {generation}"
    twins = served_publishes(stack, agent).count(publish.id)
    if twins != (0 if status == "DRAFT" else 1):
        yield f"the gateway of {agent} has {twins} routes for it"


def served_publishes(stack: Stack, agent: str) -> list[str]:
    """The publishes whose routes a gateway itself says it runs."""
    dump = stack.gateway_client.get(
        stack.agent(agent)["admin_url"] + "/config_dump?resource=dynamic_scoped_route_configs"
    )
    configs = json.loads(dump.text).get("configs", [])
    names = {scope["name"] for config in configs for scope in config.get("scoped_route_configs", [])}
    return [str(publish_in(name)) for name in names]


def page_of(stack: Stack, publish: Publish) -> str:
    """The publish's page, as text."""
    return stack.browser.text(f"/provider/products/{stack.facts['product_id']}/publishes/{publish.id}")


def _on_page(
    stack: Stack, publish: Publish, status: str, agents: list[str], generation: int
) -> Iterator[str]:
    text = page_of(stack, publish)
    numbers = f"{len(agents)} of {len(stack.agents)} agents"
    if status == "DRAFT":
        reason = (
            f"{numbers} have taken it off (v{generation})"
            if generation
            else f"{len(agents)} agents are connected"
        )
    elif status == "PUBLISHED":
        reason = f"{numbers} serve v{generation}"
    else:
        reason = f"{numbers} answer 410 (v{generation})"
    if status not in text or reason not in text:
        yield f"the page does not say {status} and {reason}: {text[:600]}"
