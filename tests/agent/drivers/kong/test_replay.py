"""The double answers as a real Kong 3.9.3 did: every recorded exchange is sent again, in its order."""

from collections.abc import Iterator

import pytest

from tests.agent.drivers.kong.replay import Line, Replay, lines, upstreams
from tests.doubles.kong.node import Kong

NOT_DOUBLED = {
    "rate-limiting is taken and kept, but limits nothing": (
        "rl-ok-1 rl-ok-2 rl-429 rl-429-html rl-raised rl-recreated rl-specific-wins rl-default-others"
        " rl-consumer-1 rl-consumer-2 rl-consumer-3"
        " rl-two-windows-ok rl-hide-429 lua-rl-403 lua-rl-200 auth-load auth-right auth-rl-2 auth-rl-429"
    ),
    "cors is taken and kept, but adds nothing": "cors-preflight cors-401",
    "no TLS listener, so no redirects to one": (
        "proto-https-http proto-https-https proto-https-spoof proto-301-http proto-http-https"
    ),
    "no sandbox with modules": "set-on-require set-req-require",
    "credentials are looked up, not cached": "db-down-cold db-down-unknown",
    "no schema endpoint": "pl-schema",
    "one page of tags": "tag-endpoint-all",
    "the recorded request is cut": (
        "big-load big-first big-last big-again big-list big-list-2 big-list-3"
        " restart-status restart-proxy restart-post"
    ),
}
"""Why → the steps that the double does not answer as Kong did."""

LEFT_OUT = {step for steps in NOT_DOUBLED.values() for step in steps.split()}


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[int, int]]:
    yield from upstreams()


def set_up(kong: Kong, line: Line) -> None:
    """What was changed at the real Kong before this line."""
    settings = line.get("settings", "")
    stated = [mode for mode in ("off", "on") if f"untrusted_lua={mode}" in settings]
    kong.proxy.untrusted_lua = kong.admin.untrusted_lua = stated[0] if stated else "sandbox"
    kong.admin.sandbox_requires = ("cjson.safe",) if "requires=cjson.safe" in settings else ()
    kong.admin.reachable = "not accepting" not in settings
    if line["step"] == "lost-status":
        kong.lose_everything()
    for credential in kong.store.tables["keyauth_credentials"].values():
        if "expires" in credential:
            credential["expires"] -= line.get("waited_ms", 0) / 1000


@pytest.mark.parametrize(
    ("name", "consistency", "replayed"), [("db", "strict", 601), ("dbless", "eventual", 130)]
)
def test_every_recorded_exchange_is_answered_as_recorded(
    name: str, consistency: str, replayed: int, ports: dict[int, int]
) -> None:
    kong = Kong(database="postgres" if name == "db" else "off").start()
    kong.proxy.moved, kong.admin.consistency = ports, consistency
    replay = Replay(kong)
    differences, tried = {}, 0
    for line in lines(name):
        set_up(kong, line)
        # What is left out is sent all the same where it can be: later lines stand on it.
        is_left_out = line["step"] in LEFT_OUT
        if line["step"].startswith("big-") or line["request"].get("scheme") == "https":
            continue
        difference = replay.difference(line)
        tried += not is_left_out
        if difference and not is_left_out:
            differences[line["step"]] = difference
    kong.stop()
    assert differences == {}
    assert tried == replayed


def test_all_but_a_named_few_of_the_records_are_replayed() -> None:
    steps = {(name, line["step"]) for name in ("db", "dbless") for line in lines(name)}
    assert len(steps) == 773
    assert {step for _, step in steps} >= LEFT_OUT
    assert len(LEFT_OUT) == 42
