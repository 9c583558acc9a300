"""However much a gateway says, what the agent sends on is short and clean."""

from agent.drivers.base import Description, Refused
from agent.protocol.bounds import shortened
from agent.protocol.messages import Outcome
from clusters.client import MAX_ANSWER_BYTES
from publishes.engine.outbox import BATCH
from tests.agent.doubles import live
from tests.agent.running import Running


def test_a_batch_that_a_gateway_refuses_at_length_is_answered(agent: Running) -> None:
    specs = [live() for _ in range(BATCH)]
    refusal = Refused(
        '"전부 틀렸습니다"\x00\ud800' * 100_000,
        code="gateway_refused" * 10,
        entity="경로" * 1000,
        field='"' * 1000,
    )
    agent.gateway.refuse = {spec.publish_id: refusal for spec in specs}
    sealed = agent.seal(*specs)
    response = agent.post(sealed.token)
    assert len(response.content) < MAX_ANSWER_BYTES
    results = agent.double.open_answer(agent.me, response.text, answers=sealed.id)
    assert {result.outcome for result in results} == {Outcome.REFUSED}
    lengths = {
        tuple(map(len, (result.message, result.entity, result.field, result.code))) for result in results
    }
    assert lengths == {(1000, 200, 200, 50)}
    assert results[0].message.startswith('"전부 틀렸습니다"  "전부')


def test_a_heartbeat_says_no_more_than_that(agent: Running) -> None:
    driver = agent.heart._parts.driver
    described = Description(ok=False, error="x" * 10_000_000, version="\x00Kong", mode="y" * 9999)
    driver.describe = lambda: described  # type: ignore[method-assign]
    agent.beat()
    beat = agent.double.heartbeats[-1]
    assert (len(beat.gateway_error), beat.gateway_version, len(beat.gateway_mode)) == (500, " Kong", 50)


def test_a_short_text_stays_as_it_is() -> None:
    assert [shortened(text, 5) for text in ("", "12345", "123456", "a\nb")] == ["", "12345", "1234…", "a b"]
