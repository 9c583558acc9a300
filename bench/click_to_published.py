"""Time from the request to PUBLISHED, by stage.

`python -m bench.click_to_published var/demo.json [rounds]`
"""

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

OPEN = {"QUEUED", "SENT"}


def main() -> None:
    """Publish and take off again, one after the other, and print a table of milliseconds."""
    facts = json.loads(Path(sys.argv[1]).read_text())
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    headers = {"Authorization": f"Bearer {facts['provider']['api_token']}"}
    with httpx2.Client(base_url=facts["web_url"], headers=headers, timeout=30, trust_env=False) as api:
        measured = [run_round(api, facts) for _ in range(rounds)]
    print(f"{rounds} rounds, {len(facts['clusters'][0]['agents'])} agent(s)          median     p95")  # noqa: T201
    for name in measured[0]:
        values = [row[name] for row in measured]
        print(f"{name:<42}{statistics.median(values):8.0f}{statistics.quantiles(values, n=20)[18]:8.0f}")  # noqa: T201


def run_round(api: httpx2.Client, facts: dict[str, Any]) -> dict[str, float]:
    """One publish of a fresh draft, then withdraw and delete; milliseconds by stage."""
    cluster = facts["clusters"][0]
    place = {"cluster_id": cluster["id"], "gateway_id": cluster["gateways"][0]["id"]}
    draft = api.post(f"/api/v1/provider/products/{facts['product_id']}/publishes", json=place).json()
    path = f"/api/v1/provider/product-publishes/{draft['id']}"
    started = time.perf_counter()
    answer = api.post(f"{path}/publish")
    answered = time.perf_counter()
    operation = ended(api, answer)
    page_read_at = time.perf_counter()
    ended(api, api.post(f"{path}/withdraw", json={"reason": "bench"}))
    ended(api, api.delete(path))
    evidence = max(
        (row["evidence"] for row in operation["deliveries"]),
        key=lambda row: row["apply_ms"] + row["verify_ms"],
    )
    in_database = operation["took_ms"]
    return {
        "answer to the click": (answered - started) * 1000,
        "seen by the client (polling every 10 ms)": (page_read_at - started) * 1000,
        "in the database: request to PUBLISHED": in_database,
        "  agent: sent, and taken by Envoy": evidence["apply_ms"],
        "  agent: proved at each worker": evidence["verify_ms"],
        "  all else: wake-up, claim, signing, HTTP": in_database
        - evidence["apply_ms"]
        - evidence["verify_ms"],
    }


def ended(api: httpx2.Client, answer: httpx2.Response) -> dict[str, Any]:
    """Poll the operation every 10 ms until it has ended well."""
    answer.raise_for_status()
    while (operation := api.get(answer.headers["Location"]).json())["phase"] in OPEN:
        time.sleep(0.01)
    if operation["phase"] != "SUCCEEDED":
        raise SystemExit(f"{operation['kind']} {operation['phase']}: {operation['error']}")
    result: dict[str, Any] = operation
    return result


if __name__ == "__main__":
    main()
