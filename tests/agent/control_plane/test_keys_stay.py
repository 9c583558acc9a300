"""Keys on their way through an agent reach the gateway and two private files.

No log line and no answer holds one.
"""

import json
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from agent.protocol import messages, signing
from agent.protocol.messages import Outcome
from agent.protocol.spec import ApiKey, Auth, AuthMode, Spec
from tests.agent.doubles import ControlPlaneDouble, Upstreams, live, until
from tests.agent.program import Children, Site
from tests.agent.running import Running

CANARY = "canary-0123456789"


def with_keys(*secrets: str, port: int = 9, consumer: str = "consumer") -> Spec:
    keys = tuple(
        ApiKey(id=uuid4(), consumer=f"{consumer}-{number}", fingerprint=f"{number:032}", secret=secret)
        for number, secret in enumerate(secrets)
    )
    return live(port=port, auth=Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=keys))


def test_a_command_with_ten_thousand_keys_is_taken(agent: Running) -> None:
    spec = with_keys(*(f"imp_{number:043}" for number in range(10_000)))
    sealed = agent.seal(spec, answer_within_ms=20_000)
    assert 2_000_000 < len(sealed.token) < signing.SIZE_LIMIT / 6
    (result,) = agent.double.open_answer(agent.me, agent.post(sealed.token).text, answers=sealed.id)
    assert result.outcome == Outcome.VERIFIED
    assert agent.gateway.carried[spec.publish_id].spec == spec


def test_what_an_agent_logs_answers_and_keeps_holds_no_key_but_two_private_files(
    tmp_path: Path, control_plane: ControlPlaneDouble, children: Children, upstream: Upstreams
) -> None:
    site = Site(tmp_path, control_plane, children)
    site.start()
    good, twice, odd = (
        with_keys(CANARY, port=upstream.port),
        with_keys(f"{CANARY}-x", f"{CANARY}-x"),
        with_keys(f"{CANARY}-y", consumer="a b"),
    )
    results = [result for spec in (good, twice, odd) for result in site.push(spec)]
    assert [result.outcome for result in results] == [Outcome.VERIFIED, Outcome.REFUSED, Outcome.REFUSED]
    assert site.gateway.ask(good.host, headers={"apikey": CANARY}).status == 200
    answer = _push_malformed(site)
    until(lambda: site.double.reports, description="a report")
    log = (tmp_path / "agent.log").read_text()
    assert log.count('"event": "result"') == 3
    assert "malformed" in log
    all_messages = [*results, *site.double.heartbeats, *site.double.reports, *site.double.results]
    assert CANARY not in repr([message.model_dump() for message in all_messages]) + answer + log
    holding = {
        path.name.removesuffix("-wal"): path.stat().st_mode & 0o777
        for path in tmp_path.rglob("*")
        if path.is_file() and CANARY in path.read_text(errors="replace")
    }
    assert holding == {"state.sqlite3": 0o600, "resources.sqlite3": 0o600}


def _push_malformed(site: Site) -> str:
    text = json.dumps(
        {"items": [{"spec": {"auth": {"keys": [{"secret": CANARY}]}}}], "upstream_networks": []}
    )
    sealed = signing.seal(
        site.double.key,
        text,
        purpose=signing.Purpose.COMMAND,
        issuer=signing.CONTROL_PLANE,
        audience=str(site.me.agent_id),
    )
    response = httpx2.post(
        site.me.url + messages.PATH_COMMANDS, content=sealed.token, trust_env=False, timeout=10
    )
    assert response.status_code == 400
    return response.text


@pytest.mark.parametrize(
    "bad", [{"id": 1, "consumer": "c", "fingerprint": "f", "secret": CANARY}, {"secret": CANARY}]
)
def test_words_about_a_message_that_is_not_understood_quote_no_key(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error") as caught:
        ApiKey.model_validate_json(json.dumps(bad))
    assert CANARY not in str(caught.value)
