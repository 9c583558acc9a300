"""Time for which a revoked key is still let in, and the answers to callers while keys change.

`python -m bench.revoke_to_401 var/demo.json [rounds]`
"""

import json
import statistics
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2

from bench.click_to_published import ended

RATE = 200
NEVER_S = 30.0


def main() -> None:
    """Revoke keys one after the other, then change keys under load.

    On the last cluster of the demo, which has the most agents.
    """
    facts = json.loads(Path(sys.argv[1]).read_text())
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    cluster = facts["clusters"][-1]
    headers = {"Authorization": f"Bearer {facts['provider']['api_token']}"}
    with (
        httpx2.Client(base_url=facts["web_url"], headers=headers, timeout=30, trust_env=False) as api,
        httpx2.Client(trust_env=False) as caller,
    ):
        site = Site(api, caller, facts, cluster)
        opened, shut = zip(*(site.run_round() for _ in range(rounds)), strict=True)
        met = site.under_load(rounds)
        site.clean_up()
    title = f"{rounds} rounds, {len(cluster['agents'])} agent(s)"
    print(f"{title:<34}  median     p95     max  (ms, all gateways)")  # noqa: T201
    for name, values in (("a new key opens", opened), ("a revoked key meets 401", shut)):
        median, p95 = statistics.median(values), statistics.quantiles(values, n=20)[18]
        print(f"{name:<34}{median:8.0f}{p95:8.0f}{max(values):8.0f}")  # noqa: T201
    print(f"while {rounds} syncs were applied under {RATE} requests a second: {dict(met)}")  # noqa: T201


class Site:
    """A publish that asks for keys, and its gateways."""

    def __init__(
        self, api: httpx2.Client, caller: httpx2.Client, facts: dict[str, Any], cluster: dict[str, Any]
    ) -> None:
        self.api, self.caller = api, caller
        self.proxies = [agent["proxy_url"] for agent in cluster["agents"]]
        settings = {
            "cluster_id": cluster["id"],
            "gateway_id": cluster["gateways"][0]["id"],
            "auth_mode": "api-key",
        }
        draft = api.post(f"/api/v1/provider/products/{facts['product_id']}/publishes", json=settings).json()
        self.path, self.host = f"/api/v1/provider/product-publishes/{draft['id']}", draft["hostname_base"]
        ended(api, api.post(f"{self.path}/publish"))

    def run_round(self) -> tuple[float, float]:
        """Milliseconds until a new key opens everywhere, and until it is shut everywhere after its
        revocation.
        """
        started = time.perf_counter()
        key = self.new_key()
        self._until(key, 200)
        opened = time.perf_counter()
        self.api.delete(f"{self.path}/test-key").raise_for_status()
        self._until(key, 401)
        return (opened - started) * 1000, (time.perf_counter() - opened) * 1000

    def under_load(self, rounds: int) -> Counter[int]:
        """The statuses that callers with a valid key meet while the key is replaced, again and again."""
        met: Counter[int] = Counter()
        valid, stop = [self.new_key()], threading.Event()
        self._until(valid[0], 200)
        threads = [
            threading.Thread(target=self._call, args=(proxy, valid, met, stop)) for proxy in self.proxies
        ]
        for thread in threads:
            thread.start()
        for _ in range(rounds):
            key = self.new_key()
            self._until(key, 200)
            valid[0] = key
            time.sleep(0.2)
        stop.set()
        for thread in threads:
            thread.join()
        return met

    def new_key(self) -> str:
        """Make a new test key; the one before it stays valid."""
        answer = self.api.post(f"{self.path}/test-key")
        answer.raise_for_status()
        return str(answer.json()["key"])

    def clean_up(self) -> None:
        """Off the gateways again."""
        ended(self.api, self.api.post(f"{self.path}/withdraw", json={"reason": "bench"}))
        ended(self.api, self.api.delete(self.path))

    def _call(self, proxy: str, valid: list[str], met: Counter[int], stop: threading.Event) -> None:
        pause, due = len(self.proxies) / RATE, time.perf_counter()
        with httpx2.Client(trust_env=False) as caller:
            while not stop.is_set():
                met[
                    caller.get(
                        f"{proxy}/billing", headers={"Host": self.host, "apikey": valid[0]}
                    ).status_code
                ] += 1
                due += pause
                time.sleep(max(0.0, due - time.perf_counter()))

    def _until(self, key: str, status: int) -> None:
        deadline = time.perf_counter() + NEVER_S
        for proxy in self.proxies:
            while (
                self.caller.get(f"{proxy}/billing", headers={"Host": self.host, "apikey": key}).status_code
                != status
            ):
                if time.perf_counter() > deadline:
                    raise SystemExit(f"{proxy} does not answer {status}.")
                time.sleep(0.005)


if __name__ == "__main__":
    main()
