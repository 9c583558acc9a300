"""An agent's lease: only who holds it gives it back, and an agent that is at work keeps it."""

from datetime import timedelta
from uuid import uuid4

from django.utils import timezone

from agent.protocol.messages import Outcome
from publishes.engine import outbox
from publishes.models import AgentLease
from publishes.verbs import publishing
from tests.world import World


def test_a_lease_that_another_worker_has_by_now_is_not_given_back(world: World) -> None:
    agent = world.agents[0].agent
    in_a_while = timezone.now() + timedelta(seconds=5)
    token = uuid4()
    AgentLease.objects.create(agent=agent, token=token, until=in_a_while)
    outbox.release(agent.pk, lease=uuid4())
    assert AgentLease.objects.get(agent=agent).until == in_a_while
    outbox.release(agent.pk, lease=token)
    assert AgentLease.objects.get(agent=agent).until <= timezone.now()


def test_an_agent_that_says_it_is_at_work_keeps_its_lease(world: World) -> None:
    voice = world.agents[0]
    publishing.request_publish(world.actor, world.draft().pk)
    (claimed,) = voice.claim()
    soon = timezone.now() + timedelta(seconds=1)
    AgentLease.objects.filter(agent=voice.agent).update(until=soon)
    voice.answer(claimed, Outcome.WORKING, step="verify")
    assert AgentLease.objects.get(agent=voice.agent).until > soon
