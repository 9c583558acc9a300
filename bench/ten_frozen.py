"""Ten agents of another cluster freeze: how long do publishes of kr-dev take?

`python -m bench.ten_frozen var/demo.json [rounds] [frozen]`.
"""

import importlib
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from bench.inside import enter
from bench.many_publishes import say, wait


def main() -> None:
    """Let them freeze in the middle of a publish, and publish elsewhere meanwhile."""
    facts = enter(Path(sys.argv[1]))
    rounds, frozen = (int(sys.argv[n]) if len(sys.argv) > n else default for n, default in ((2, 10), (3, 10)))
    bench: Any = importlib.import_module("bench.rows")
    frozen_cluster = bench.make_cluster(f"icy-{uuid.uuid4().hex[:6]}")
    doors = bench.add_frozen_agents(frozen_cluster, frozen)
    try:
        waiting_draft = bench.drafts(frozen_cluster, facts["product_id"], 1)[0]
        bench.publish(waiting_draft)
        took = [run_round(bench, facts, frozen_cluster, number) for number in range(rounds)]
        say(
            f"{frozen} frozen agents; "
            f"{rounds} publishes on kr-dev took {min(took):.2f} to {max(took):.2f} s; "
            f"load average {os.getloadavg()[0]:.1f}"
        )
    finally:
        bench.forget_agents(frozen_cluster)
        for door in doors:
            door.close()


def run_round(bench: Any, facts: dict[str, Any], frozen_cluster: Any, number: int) -> float:
    """One publish on kr-dev, in seconds; it is taken off again."""
    bench.keep_fresh(frozen_cluster)
    draft = bench.draft_on("kr-dev", facts["product_id"], f"icy-{number}-{uuid.uuid4().hex[:6]}.localhost")
    started = time.perf_counter()
    bench.publish(draft)
    wait(lambda: bench.status_of(draft.pk) == "PUBLISHED")
    took = time.perf_counter() - started
    bench.take_off_publish(draft, wait)
    return took


if __name__ == "__main__":
    main()
