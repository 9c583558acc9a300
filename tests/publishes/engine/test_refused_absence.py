"""An agent that refuses a removal keeps the host claimed; it is asked again until it has confirmed."""

from agent.protocol.messages import Outcome
from publishes.choices import Phase, Status
from publishes.engine import answers, delivery, expectations
from publishes.verbs import publishing
from tests.world import World, reported

NOTHING_CARRIED = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_an_agent_that_refused_to_go_back_is_asked_again_and_then_the_host_is_given_back(
    world: World,
) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    refusing, other = world.agents
    for _step in ("publish", "go back"):
        for waiting in refusing.claim():
            refusing.answer(waiting, Outcome.REFUSED, code="rejected", message="no")
        other.confirm_all()
    publish.refresh_from_db()
    assert (publish.status, publish.desired_state, publish.claimed_host) == (
        Status.DRAFT,
        "absent",
        publish.hostname_base,
    )
    assert world.last_operation(publish).phase == Phase.FAILED
    assert not expectations.heartbeat_decision(other.agent, NOTHING_CARRIED).report

    assert expectations.heartbeat_decision(refusing.agent, NOTHING_CARRIED).report
    assert reported(refusing.agent, ()) == [publish.pk]
    (item,) = delivery.fetch(refusing.agent, (publish.pk,))
    answers.record_in_parts(refusing.agent, (refusing.result(item.spec, Outcome.VERIFIED, token=item.token),))
    publish.refresh_from_db()
    assert publish.claimed_host is None
    assert not expectations.heartbeat_decision(refusing.agent, NOTHING_CARRIED).report
