"""docs/publish.sh against the real system: nothing but curl and a token."""

import os
import subprocess

from demo.process import ROOT
from tests.faults.stack import Stack


def run(stack: Stack, **changes: str) -> subprocess.CompletedProcess[str]:
    facts, cluster = stack.facts, stack.cluster
    variables = {
        "URL": facts["web_url"],
        "TOKEN": facts["provider"]["api_token"],
        "PRODUCT": facts["product_id"],
        "CLUSTER": cluster["name"],
        "GATEWAY": cluster["gateways"][0]["name"],
        "PROXY": cluster["agents"][0]["proxy_url"],
        "PATH_TO_CALL": "/billing",
    }
    env = {"PATH": os.environ["PATH"], "NO_PROXY": "*", **variables, **changes}
    return subprocess.run(
        ["sh", str(ROOT / "docs" / "publish.sh")],
        env=env,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_the_script_publishes_calls_withdraws_and_deletes(stack: Stack) -> None:
    completed = run(stack)
    assert completed.returncode == 0, completed.stderr
    draft, *remaining = completed.stdout.splitlines()
    assert draft.startswith("draft ")
    assert remaining == ["live: 200", "withdrawn: 410", "deleted"]


def test_the_script_says_what_was_refused(stack: Stack) -> None:
    refused = run(stack, TOKEN="impg_wrong")
    assert refused.returncode == 1
    assert "401" in refused.stderr
    assert "Bearer" in refused.stderr
    assert stack.facts["provider"]["api_token"] not in refused.stderr
