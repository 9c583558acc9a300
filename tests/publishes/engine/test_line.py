"""The line of one publish: request, delivery, agents' words, status."""

from datetime import timedelta

import pytest
from django.utils import timezone

from agent.protocol.messages import Outcome
from clusters.models import AgentLiveness
from core.problems import Invalid
from publishes import sweeping
from publishes.choices import EventKind, Kind, Phase, Status
from publishes.models import Delivery, Observation, Operation, ProductPublish, PublishEvent
from publishes.verbs import deleting, publishing, retrying, withdrawing
from tests.world import World


def kinds(publish: ProductPublish) -> list[str]:
    return list(
        PublishEvent.objects.filter(publish=publish)
        .order_by("created_at", "id")
        .values_list("kind", flat=True)
    )


def test_a20_published_only_when_every_connected_agent_has_proved_it(world: World) -> None:
    publish = world.draft()
    first, second = world.agents

    operation = publishing.request_publish(world.actor, publish.pk, note="Production release v2.0")
    publish.refresh_from_db()
    assert publish.status == Status.DRAFT
    assert publish.claimed_host == "payment-api.dev.kr-seoul.localhost"

    first.confirm_all()
    publish.refresh_from_db()
    operation.refresh_from_db()
    assert (publish.status, operation.phase) == (Status.DRAFT, Phase.SENT)

    second.confirm_all()
    publish.refresh_from_db()
    operation.refresh_from_db()
    assert (publish.status, operation.phase) == (Status.PUBLISHED, Phase.SUCCEEDED)
    assert publish.published_by == "acme-owner"
    assert publish.published_at is not None
    published = PublishEvent.objects.get(publish=publish, kind=EventKind.PUBLISHED)
    assert (published.from_status, published.to_status, published.note) == (
        "DRAFT",
        "PUBLISHED",
        "Production release v2.0",
    )
    assert [agent["name"] for agent in published.evidence["agents"]] == ["busan-1", "busan-2"]
    assert published.evidence["took_ms"] == operation.took_ms


def test_a18_withdraw_publish_again_withdraw_delete_leaves_one_line_of_history_each(world: World) -> None:
    publish = world.published()

    withdrawing.request_withdraw(world.actor, publish.pk, reason="maintenance of the upstream")
    world.everybody_confirms()
    publish.refresh_from_db()
    assert (publish.status, publish.desired_state, publish.withdrawn_by) == (
        Status.WITHDRAWN,
        "withdrawn",
        "acme-owner",
    )
    assert publish.claimed_host is not None

    publishing.request_publish(world.actor, publish.pk)
    world.everybody_confirms()
    publish.refresh_from_db()
    assert (publish.status, publish.generation) == (Status.PUBLISHED, 3)

    withdrawing.request_withdraw(world.actor, publish.pk, reason="for good")
    world.everybody_confirms()
    deleting.request_delete(world.actor, publish.pk)
    world.everybody_confirms()
    publish.refresh_from_db()
    assert publish.deleted_at is not None
    assert publish.claimed_host is None
    assert (publish.status, publish.generation) == (Status.WITHDRAWN, 5)
    assert kinds(publish) == [
        *("created", "publish_requested", "published"),
        *("withdraw_requested", "withdrawn"),
        *("publish_requested", "published"),
        *("withdraw_requested", "withdrawn"),
        *("delete_requested", "deleted"),
    ]
    assert not ProductPublish.objects.visible_to(world.actor).exists()


def test_a_refusal_fails_the_publish_and_goes_back_everywhere(world: World) -> None:
    publish = world.draft()
    first, second = world.agents
    operation = publishing.request_publish(world.actor, publish.pk)
    first.confirm_all()
    (waiting,) = second.claim()
    second.answer(
        waiting,
        Outcome.REFUSED,
        code="rejected",
        message="bad cluster",
        entity="Billing Service",
        field="upstream.host",
    )

    operation.refresh_from_db()
    publish.refresh_from_db()
    assert (operation.phase, operation.error_code) == (Phase.FAILED, "rejected")
    assert operation.error == "busan-2: Billing Service upstream.host: bad cluster"
    assert publish.status == Status.DRAFT
    assert (publish.generation, publish.desired_state) == (2, "absent")
    back = world.last_operation(publish)
    assert back.kind == Kind.REVERT
    assert {row.agent.name for row in Delivery.objects.filter(operation=back)} == {"busan-1", "busan-2"}

    world.everybody_confirms()
    publish.refresh_from_db()
    assert (publish.status, publish.claimed_host) == (Status.DRAFT, None)
    assert kinds(publish) == ["created", "publish_requested", "failed", "going_back", "went_back"]


def test_a_failed_publish_again_goes_back_to_410(world: World) -> None:
    publish = world.withdrawn()
    publishing.request_publish(world.actor, publish.pk)
    (waiting,) = world.agents[0].claim()
    world.agents[0].answer(waiting, Outcome.REFUSED, code="rejected", message="no")

    publish.refresh_from_db()
    assert (publish.status, publish.desired_state) == (Status.WITHDRAWN, "withdrawn")
    world.everybody_confirms()
    publish.refresh_from_db()
    assert publish.claimed_host == "payment-api.dev.kr-seoul.localhost"


def test_a_failed_withdrawal_stays_published_and_does_not_go_back(world: World) -> None:
    publish = world.published()
    operation = withdrawing.request_withdraw(world.actor, publish.pk, reason="stop it")
    (waiting,) = world.agents[0].claim()
    world.agents[0].answer(waiting, Outcome.REFUSED, code="rejected", message="no")

    publish.refresh_from_db()
    operation.refresh_from_db()
    assert (publish.status, publish.desired_state, operation.phase) == (
        Status.PUBLISHED,
        "withdrawn",
        Phase.FAILED,
    )
    assert not Operation.objects.filter(publish=publish, kind=Kind.REVERT).exists()

    again = retrying.retry(world.actor, publish.pk)
    assert again is not None
    assert (again.kind, again.note) == (Kind.WITHDRAW, "stop it")
    world.everybody_confirms()
    publish.refresh_from_db()
    assert publish.status == Status.WITHDRAWN


def test_retry_takes_a_fresh_snapshot(world: World) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk, note="first")
    (waiting,) = world.agents[0].claim()
    world.agents[0].answer(waiting, Outcome.REFUSED, code="rejected", message="no")
    world.everybody_confirms()

    world.product.services.filter(name="Refund Service").update(status="inactive")
    again = retrying.retry(world.actor, publish.pk)
    assert again is not None
    assert [service["name"] for service in again.spec["services"]] == ["Billing Service", "Invoice Service"]
    assert (again.generation, again.note) == (3, "first")


def test_an_agent_that_is_away_delays_nobody_and_catches_up(world: World) -> None:
    away = world.agents[1]
    AgentLiveness.objects.filter(agent=away.agent).update(last_seen_at=timezone.now() - timedelta(seconds=41))
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    world.agents[0].confirm_all()

    publish.refresh_from_db()
    assert publish.status == Status.PUBLISHED
    late = Delivery.objects.get(agent=away.agent)
    assert late.phase == Phase.QUEUED

    AgentLiveness.objects.filter(agent=away.agent).update(last_seen_at=timezone.now())
    away.confirm_all()
    late.refresh_from_db()
    assert late.phase == Phase.SUCCEEDED
    assert kinds(publish).count("published") == 1


def test_an_agent_that_refuses_after_success_is_shown_and_the_status_stays(world: World) -> None:
    away = world.agents[1]
    AgentLiveness.objects.filter(agent=away.agent).update(last_seen_at=timezone.now() - timedelta(seconds=41))
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    world.agents[0].confirm_all()
    (waiting,) = away.claim()
    away.answer(waiting, Outcome.REFUSED, code="rejected", message="too old")

    publish.refresh_from_db()
    assert publish.status == Status.PUBLISHED
    assert Delivery.objects.get(agent=away.agent).message == "too old"
    assert not Operation.objects.filter(publish=publish, phase=Phase.FAILED).exists()


def test_with_nobody_counting_it_waits_and_fails_at_the_deadline(world: World) -> None:
    AgentLiveness.objects.update(gateway_ok=False)
    publish = world.draft()
    operation = publishing.request_publish(world.actor, publish.pk)
    sweeping.sweep()
    operation.refresh_from_db()
    assert operation.phase == Phase.QUEUED

    Operation.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
    sweeping.sweep()
    operation.refresh_from_db()
    assert (operation.phase, operation.error_code) == (Phase.FAILED, "no_agent")
    assert world.last_operation(publish).kind == Kind.REVERT


def test_at_the_deadline_the_agents_last_words_are_the_reason(world: World) -> None:
    publish = world.draft()
    operation = publishing.request_publish(world.actor, publish.pk)
    world.agents[0].confirm_all()
    (waiting,) = world.agents[1].claim()
    world.agents[1].answer(waiting, Outcome.UNREACHABLE, message="admin port refuses connections")
    Operation.objects.filter(pk=operation.pk).update(deadline_at=timezone.now() - timedelta(seconds=1))
    sweeping.sweep()

    operation.refresh_from_db()
    assert (operation.phase, operation.error_code) == (Phase.FAILED, "deadline")
    assert operation.error == "busan-2: admin port refuses connections"


def test_a_silent_agent_is_tried_again_after_a_back_off(world: World) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    (waiting,) = world.agents[0].claim()
    world.agents[0].answer(waiting, Outcome.UNREACHABLE, message="later")

    row = Delivery.objects.get(agent=world.agents[0].agent)
    assert (row.phase, row.attempt) == (Phase.QUEUED, 1)
    assert 0.7 < (row.due_at - timezone.now()).total_seconds() < 1.3
    assert world.agents[0].claim() == ()


def test_deleting_a_draft_that_was_never_sent_leaves_nothing(world: World) -> None:
    publish = world.draft()
    assert deleting.request_delete(world.actor, publish.pk) is None
    assert not ProductPublish.objects.filter(pk=publish.pk).exists()


def test_without_any_registered_agent_withdraw_and_delete_succeed_at_once(world: World) -> None:
    publish = world.published()
    for voice in world.agents:
        voice.agent.delete()

    withdrawing.request_withdraw(world.actor, publish.pk, reason="the cluster is gone")
    publish.refresh_from_db()
    assert publish.status == Status.WITHDRAWN
    operation = deleting.request_delete(world.actor, publish.pk)
    publish.refresh_from_db()
    assert operation is not None
    assert publish.deleted_at is not None
    assert publish.claimed_host is None


def test_a_withdrawal_needs_a_reason_of_1_to_500_characters(world: World) -> None:
    publish = world.published()
    for reason in ("", "   ", "x" * 501):
        with pytest.raises(Invalid) as refusal:
            withdrawing.request_withdraw(world.actor, publish.pk, reason=reason)
        assert list(refusal.value.fields) == ["reason"]
    assert not Operation.objects.filter(kind=Kind.WITHDRAW).exists()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x" * 500)


def test_what_an_agent_proved_is_observed(world: World) -> None:
    publish = world.published()
    observation = Observation.objects.get(agent=world.agents[0].agent)
    assert (
        observation.publish_id,
        observation.generation,
        observation.digest,
        observation.state,
        observation.verified,
    ) == (
        publish.pk,
        1,
        publish.desired_digest,
        "live",
        True,
    )
