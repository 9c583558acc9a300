"""Which words of an agent count: token, generation, digest, and whose publish it is."""

from typing import Any
from uuid import uuid4

from django.utils import timezone

from agent.protocol.messages import Carried, Outcome
from agent.protocol.spec import Spec, State
from publishes.choices import Phase, Status
from publishes.engine import answers, delivery, outbox
from publishes.models import Delivery, Observation, ProductPublish, PublishEvent
from publishes.verbs import deleting, publishing, withdrawing
from tests.world import Voice, World, reported


def claim_new_publish(world: World, voice: Voice) -> outbox.ClaimedDelivery:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    (waiting,) = voice.claim()
    return waiting


def phase_of(voice: Voice) -> str:
    return Delivery.objects.get(agent=voice.agent).phase


def test_a_refusal_with_another_attempts_token_is_ignored(world: World) -> None:
    voice = world.agents[0]
    waiting = claim_new_publish(world, voice)
    answers.record(voice.agent, [voice.result(waiting.spec, Outcome.REFUSED, token=uuid4(), message="old")])
    answers.record(voice.agent, [voice.result(waiting.spec, Outcome.REFUSED, token=None, message="old")])
    assert phase_of(voice) == Phase.SENT


def test_verified_counts_without_a_token_for_exactly_its_generation_and_digest(world: World) -> None:
    voice = world.agents[0]
    waiting = claim_new_publish(world, voice)
    for wrong in ({"generation": 2}, {"digest": "0" * 64}, {"generation": 0}):
        answers.record(
            voice.agent, [voice.result(waiting.spec, Outcome.VERIFIED, token=None).model_copy(update=wrong)]
        )
        assert phase_of(voice) == Phase.SENT
    answers.record(voice.agent, [voice.result(waiting.spec, Outcome.VERIFIED, token=None)])
    assert phase_of(voice) == Phase.SUCCEEDED


def test_f13_five_equal_answers_make_one_transition(world: World) -> None:
    world.agents[1].agent.delete()
    voice = world.agents[0]
    waiting = claim_new_publish(world, voice)
    for _ in range(5):
        voice.answer(waiting)
    assert PublishEvent.objects.filter(kind="published").count() == 1
    assert ProductPublish.objects.get().status == Status.PUBLISHED


def test_an_answer_to_an_older_generation_changes_nothing(world: World) -> None:
    voice = world.agents[0]
    publish = world.published()
    (old,) = [Spec.model_validate(operation.spec) for operation in publish.operations.all()]
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    answers.record(voice.agent, [voice.result(old, Outcome.VERIFIED, token=None)])
    publish.refresh_from_db()
    assert publish.status == Status.PUBLISHED
    assert set(Delivery.objects.filter(operation__generation=2).values_list("phase", flat=True)) == {
        Phase.QUEUED
    }


def test_a_foreign_agent_cannot_confirm(world: World, other: World) -> None:
    waiting = claim_new_publish(world, world.agents[0])
    stranger = other.agents[0]
    answers.record(stranger.agent, [stranger.result(waiting.spec, Outcome.VERIFIED, token=waiting.token)])
    assert phase_of(world.agents[0]) == Phase.SENT
    assert not Observation.objects.exists()


def test_working_keeps_the_delivery_and_says_the_step(world: World) -> None:
    voice = world.agents[0]
    waiting = claim_new_publish(world, voice)
    voice.answer(waiting, Outcome.WORKING, step="verify")
    row = Delivery.objects.get(agent=voice.agent)
    assert (row.phase, row.step) == (Phase.SENT, "verify")


def test_f12_a_report_of_what_is_carried_confirms_a_lost_answer(world: World) -> None:
    world.agents[1].agent.delete()
    voice = world.agents[0]
    waiting = claim_new_publish(world, voice)
    carried = Carried(
        publish_id=waiting.spec.publish_id,
        generation=1,
        digest=waiting.spec.digest,
        state=State.LIVE,
        verified=True,
    )
    assert reported(voice.agent, (carried,)) == []
    assert ProductPublish.objects.get().status == Status.PUBLISHED


def test_a_report_that_is_not_verified_confirms_nothing(world: World) -> None:
    voice = world.agents[0]
    waiting = claim_new_publish(world, voice)
    carried = Carried(
        publish_id=waiting.spec.publish_id,
        generation=1,
        digest=waiting.spec.digest,
        state=State.LIVE,
        verified=False,
    )
    reported(voice.agent, (carried,))
    assert phase_of(voice) == Phase.SENT
    assert Observation.objects.get().verified is False


def test_f18_a_newcomer_is_told_to_fetch_what_its_cluster_serves(world: World) -> None:
    publish = world.published()
    newcomer = world.add_agent("busan-3")
    assert reported(newcomer.agent, ()) == [publish.pk]
    (item,) = delivery.fetch(newcomer.agent, (publish.pk,))
    assert (item.spec.generation, item.spec.state, item.token) == (1, State.LIVE, None)


def test_what_was_deleted_before_an_agent_came_is_not_sent_to_it(world: World) -> None:
    publish = world.withdrawn()
    deleting.request_delete(world.actor, publish.pk)
    world.everybody_confirms()
    newcomer = world.add_agent("busan-3")
    assert reported(newcomer.agent, ()) == []


def test_an_agent_that_slept_through_withdraw_and_delete_is_told_to_remove(world: World) -> None:
    publish = world.published()
    slept = world.agents[1]
    old = publish.operations.get()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    world.agents[0].confirm_all()
    Delivery.objects.filter(agent=slept.agent).update(phase=Phase.QUEUED)
    carried = Carried(publish_id=publish.pk, generation=1, digest=old.digest, state=State.LIVE, verified=True)
    assert reported(slept.agent, (carried,)) == [publish.pk]


def test_a_pull_gets_a_token_of_its_own_and_may_refuse_with_it(world: World) -> None:
    publish = world.draft()
    operation = publishing.request_publish(world.actor, publish.pk)
    voice = world.agents[0]
    (item,) = delivery.fetch(voice.agent, (publish.pk,))
    assert item.token is not None
    answers.record_in_parts(
        voice.agent,
        (voice.result(item.spec, Outcome.REFUSED, token=item.token, code="rejected", message="no"),),
    )
    operation.refresh_from_db()
    assert operation.phase == Phase.FAILED


def test_another_clusters_publish_is_never_handed_out(world: World, other: World) -> None:
    publish = world.published()
    assert delivery.fetch(other.agents[0].agent, (publish.pk,)) == []
    assert reported(other.agents[0].agent, ()) == []


def test_a_push_under_way_is_left_alone_by_a_report(world: World) -> None:
    voice = world.agents[0]
    waiting = claim_new_publish(world, voice)
    assert reported(voice.agent, ()) == []
    voice.answer(waiting)
    assert phase_of(voice) == Phase.SUCCEEDED


def test_what_a_push_under_way_replaces_is_fetched_only_when_the_push_is_overdue(world: World) -> None:
    voice = world.agents[0]
    publish = world.published()
    old = publish.operations.get()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    assert len(voice.claim()) == 1
    carried = Carried(publish_id=publish.pk, generation=1, digest=old.digest, state=State.LIVE, verified=True)
    assert reported(voice.agent, (carried,)) == []
    Delivery.objects.filter(agent=voice.agent, phase=Phase.SENT).update(due_at=timezone.now())
    assert reported(voice.agent, (carried,)) == [publish.pk]


def test_an_answer_that_closes_nothing_but_its_delivery_costs_eight_queries(
    world: World, django_assert_num_queries: Any
) -> None:
    publishing.request_publish(world.actor, world.draft().pk)
    (waiting,) = world.agents[0].claim()
    with django_assert_num_queries(8):  # the transaction's own two among them
        world.agents[0].answer(waiting)
