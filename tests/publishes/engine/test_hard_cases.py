"""Cases that were wrong once, or would be easy to get wrong.

Agents that vanish or are blocked, texts that do not fit, silence that is noted late.
"""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from agent.protocol.messages import Carried, EnrolRequest, Heartbeat, Outcome
from agent.protocol.spec import Spec, State, fingerprint
from clusters.errors import EnrolmentRefused
from clusters.models import Agent, AgentLiveness
from clusters.services import create_enrolment_code, enrol, record_heartbeat
from core.problems import Invalid
from publishes import errors, sweeping
from publishes.choices import Kind, Phase, Status
from publishes.engine import allowed, answers, delivery, expectations, hosts, settlement
from publishes.engine.allowed import Action
from publishes.models import Delivery, Operation, ProductPublish
from publishes.reading.facts.situation import situation_at
from publishes.verbs import deleting, publishing, retrying, upstreams, withdrawing
from tests.enrolment import enrol_request
from tests.hang import Hang
from tests.names import hanging
from tests.world import World, nobody_knows, reported


def block(world: World, index: int) -> Agent:
    agent = world.agents[index].agent
    Agent.objects.filter(pk=agent.pk).update(blocked_at=timezone.now())
    return agent


def test_a_publish_whose_agents_all_vanish_is_never_called_published(world: World) -> None:
    publish = world.draft()
    operation = publishing.request_publish(world.actor, publish.pk)
    Agent.objects.all().delete()
    sweeping.sweep()
    publish.refresh_from_db()
    operation.refresh_from_db()
    assert (publish.status, operation.phase) == (Status.DRAFT, Phase.QUEUED)

    Operation.objects.update(deadline_at=timezone.now())
    sweeping.sweep()
    operation.refresh_from_db()
    assert (operation.phase, operation.error_code) == (Phase.FAILED, "no_agent")


def test_a_blocked_agent_may_still_serve_so_its_host_is_kept_and_a_withdrawal_by_it_alone_is_not_believed(
    world: World,
) -> None:
    publish = world.published()
    block(world, 0)
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    world.agents[1].confirm_all()
    publish.refresh_from_db()
    assert publish.status == Status.WITHDRAWN
    deleting.request_delete(world.actor, publish.pk)
    world.agents[1].confirm_all()
    sweeping.sweep()
    publish.refresh_from_db()
    assert publish.deleted_at is not None
    assert publish.claimed_host == "payment-api.dev.kr-seoul.localhost"

    world.agents[0].agent.delete()
    sweeping.sweep()
    publish.refresh_from_db()
    assert publish.claimed_host is None


def test_with_only_blocked_agents_a_withdrawal_waits_and_a_publish_is_refused(world: World) -> None:
    publish = world.published()
    block(world, 0)
    block(world, 1)
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    publish.refresh_from_db()
    assert publish.status == Status.PUBLISHED
    with pytest.raises(errors.NoAgent):
        publishing.request_publish(world.actor, world.draft(hostname_base="two.localhost").pk)


def test_a_blocked_agent_is_pushed_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    publishing.request_publish(world.actor, world.draft().pk)
    agent = block(world, 0)
    monkeypatch.setattr(
        "clusters.client.send", lambda *_args: pytest.fail("a blocked agent was sent a command")
    )
    delivery.deliver(agent.pk)
    assert Delivery.objects.get(agent=agent).attempt == 0


def test_a_very_late_agent_is_still_tried_after_thousands_of_attempts(world: World) -> None:
    publishing.request_publish(world.actor, world.draft().pk)
    voice = world.agents[0]
    Delivery.objects.update(attempt=5000)
    (waiting,) = voice.claim()
    voice.answer(waiting, Outcome.UNREACHABLE, message="later")
    row = Delivery.objects.get(agent=voice.agent)
    assert (row.phase, row.attempt) == (Phase.QUEUED, 5001)
    assert 40 < (row.due_at - timezone.now()).total_seconds() < 80


def test_words_that_do_not_fit_are_cut_and_one_bad_result_spoils_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = world.agents[0]
    publishing.request_publish(world.actor, world.draft().pk)
    publishing.request_publish(world.actor, world.draft(hostname_base="two.localhost").pk)
    bad, good = voice.claim()
    oversized: dict[str, Any] = {
        "code": "c" * 80,
        "step": "s" * 80,
        "message": "a\x00b" * 5000,
        "entity": "e" * 300,
        "field": "\x00",
    }
    results = (
        voice.result(bad.spec, Outcome.REFUSED, token=bad.token, **oversized),
        voice.result(good.spec, Outcome.VERIFIED, token=good.token),
    )
    usual = answers.record
    monkeypatch.setattr(
        answers,
        "record",
        lambda agent, batch: (
            1 / 0 if any(result.generation == 99 for result in batch) else usual(agent, batch)
        ),
    )
    answers.record_in_parts(voice.agent, (results[0].model_copy(update={"generation": 99}), *results))
    rows = {
        row.operation.publish_id: row
        for row in Delivery.objects.filter(agent=voice.agent).select_related("operation")
    }
    assert rows[good.spec.publish_id].phase == Phase.SUCCEEDED
    failed = Delivery.objects.get(
        agent=voice.agent, operation__publish_id=bad.spec.publish_id, phase=Phase.FAILED
    )
    assert (len(failed.code), len(failed.step), "\x00" in failed.message) == (50, 50, False)


def test_late_silence_does_not_reopen_what_was_superseded(world: World) -> None:
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    (waiting,) = world.agents[0].claim()
    row = Delivery.objects.get(pk=waiting.delivery_id)
    (other,) = world.agents[1].claim()
    world.agents[1].answer(other, Outcome.REFUSED, code="rejected", message="no")
    answers.record_silence({row.pk: waiting.token}, message="late")
    row.refresh_from_db()
    assert row.phase == Phase.SUPERSEDED


def test_silence_about_an_earlier_attempt_leaves_the_later_one_alone(world: World) -> None:
    publishing.request_publish(world.actor, world.draft().pk)
    (earlier,) = world.agents[0].claim()
    rows = Delivery.objects.filter(pk=earlier.delivery_id)
    rows.update(due_at=timezone.now())
    (later,) = world.agents[0].claim()
    before = rows.values().get()
    answers.record_silence({earlier.delivery_id: earlier.token}, message="late")
    assert rows.values().get() == before
    assert (before["phase"], before["attempt"], before["token"]) == (Phase.SENT, 2, later.token)
    answers.record_silence({later.delivery_id: later.token}, message="in time")
    row = rows.get()
    assert (row.phase, row.code, row.message) == (Phase.QUEUED, "agent_silent", "in time")


def test_a_row_of_an_older_generation_is_never_claimed(world: World) -> None:
    publish = world.published()
    withdrawing.request_withdraw(world.actor, publish.pk, reason="x")
    Delivery.objects.filter(operation__generation=1).update(phase=Phase.QUEUED, due_at=timezone.now())
    claimed = world.agents[0].claim()
    assert [waiting.spec.generation for waiting in claimed] == [2]


def test_a_refused_delivery_heals_when_the_agent_proves_it_after_all(world: World) -> None:
    AgentLiveness.objects.filter(agent=world.agents[1].agent).update(
        last_seen_at=timezone.now() - timedelta(minutes=1)
    )
    publish = world.draft()
    publishing.request_publish(world.actor, publish.pk)
    world.agents[0].confirm_all()
    late = world.agents[1]
    (waiting,) = late.claim()
    late.answer(waiting, Outcome.REFUSED, code="no_certificate_authorities", message="install them")
    carried = Carried(
        publish_id=publish.pk, generation=1, digest=waiting.spec.digest, state=State.LIVE, verified=True
    )
    reported(late.agent, (carried,))
    row = Delivery.objects.get(agent=late.agent)
    assert (row.phase, row.message) == (Phase.SUCCEEDED, "")


def test_the_operation_says_sent_once_a_worker_took_it(world: World) -> None:
    operation = publishing.request_publish(world.actor, world.draft().pk)
    world.agents[0].claim()
    operation.refresh_from_db()
    assert operation.phase == Phase.SENT


def test_at_the_deadline_the_agent_that_was_waited_for_is_named(world: World) -> None:
    publish = world.draft()
    operation = publishing.request_publish(world.actor, publish.pk)
    for voice, message in zip(world.agents, ("I was away", "my admin port is shut"), strict=True):
        (waiting,) = voice.claim()
        voice.answer(waiting, Outcome.UNREACHABLE, message=message)
    AgentLiveness.objects.filter(agent=world.agents[0].agent).update(
        last_seen_at=timezone.now() - timedelta(minutes=1)
    )
    Operation.objects.update(deadline_at=timezone.now())
    sweeping.sweep()
    operation.refresh_from_db()
    assert operation.error == "busan-2: my admin port is shut"


def test_a_neutral_new_field_of_a_spec_does_not_change_digests() -> None:
    class Newer(Spec):
        colour: str = "none"

    old = Spec(publish_id=nobody_knows(), generation=1, state=State.LIVE, host="a.localhost")
    assert Newer.model_validate(old.model_dump()).digest == old.digest
    assert Newer.model_validate(old.model_dump() | {"colour": "red"}).digest != old.digest


@pytest.mark.parametrize("count", [1, 60])
def test_a_report_costs_the_same_whatever_the_cluster_carries(
    world: World, count: int, django_assert_max_num_queries: Any
) -> None:
    carried = []
    for number in range(count):
        publish = world.published(hostname_base=f"n{number}.localhost")
        carried.append(
            Carried(
                publish_id=publish.pk,
                generation=1,
                digest=publish.desired_digest,
                state=State.LIVE,
                verified=True,
            )
        )
    with django_assert_max_num_queries(6):
        assert reported(world.agents[0].agent, tuple(carried)) == []


@pytest.mark.parametrize("waiting", [1, 40])
def test_a_sweep_costs_the_same_whatever_is_open(
    world: World, waiting: int, django_assert_max_num_queries: Any
) -> None:
    for number in range(waiting):
        publishing.request_publish(world.actor, world.draft(hostname_base=f"n{number}.localhost").pk)
    sweeping.sweep()
    with django_assert_max_num_queries(9):
        sweeping.sweep()
    assert Operation.objects.filter(phase=Phase.QUEUED).count() == waiting


def test_one_operation_that_cannot_be_settled_stops_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publishing.request_publish(world.actor, world.draft().pk)
    second = publishing.request_publish(world.actor, world.draft(hostname_base="two.localhost").pk)
    Operation.objects.update(deadline_at=timezone.now())
    usual = settlement.settle_by_id
    monkeypatch.setattr(settlement, "settle_by_id", lambda pk: 1 / 0 if pk == first.pk else usual(pk))
    sweeping.sweep()
    second.refresh_from_db()
    assert second.phase == Phase.FAILED


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
def test_text_that_the_database_cannot_hold_is_refused_in_words(world: World, text: str) -> None:
    publish = world.published()
    with pytest.raises(Invalid) as refusal:
        withdrawing.request_withdraw(world.actor, publish.pk, reason=text)
    assert list(refusal.value.fields) == ["reason"]


def test_an_agent_that_reports_nonsense_spoils_no_publish(world: World) -> None:
    beat = Heartbeat(
        agent_version="1",
        driver="envoy",
        fingerprint=fingerprint([]),
        gateway_ok=True,
        reserved=("nonsense", "127.0.0.1:9901", "x:y"),
    )
    record_heartbeat(world.agents[0].agent, beat)
    assert AgentLiveness.objects.get(agent=world.agents[0].agent).reserved == ["127.0.0.1:9901"]
    publishing.request_publish(world.actor, world.draft().pk)


def test_cheap_refusals_come_before_names_are_looked_up_and_looking_up_has_a_deadline(
    world: World, monkeypatch: pytest.MonkeyPatch, hang: Hang
) -> None:
    publish = world.draft()
    monkeypatch.setattr(upstreams, "LOOK_UP_S", 0.2)
    world.product.services.update(upstream_host="hanging.example")
    monkeypatch.setattr("socket.getaddrinfo", hanging(hang))
    with pytest.raises(errors.UpstreamRefused, match="upstream_refused"):
        publishing.request_publish(world.actor, publish.pk)
    assert hang.lasts

    world.cluster.maintenance = True
    world.cluster.save()
    monkeypatch.setattr(upstreams, "check", lambda *_args: pytest.fail("names were looked up"))
    with pytest.raises(errors.ClusterInMaintenance):
        publishing.request_publish(world.actor, publish.pk)


def test_a_code_neither_unblocks_an_agent_nor_outlives_another_that_was_used(world: World) -> None:
    first, second = (create_enrolment_code(world.cluster, agent_name="busan-1") for _ in range(2))
    enrol(enrol_request(second))
    with pytest.raises(EnrolmentRefused):
        enrol(enrol_request(first))

    third = create_enrolment_code(world.cluster, agent_name="busan-1")
    block(world, 0)
    with pytest.raises(EnrolmentRefused):
        enrol(enrol_request(third))
    assert Agent.objects.get(name="busan-1").blocked_at is not None


@pytest.mark.parametrize("driver", ["", "x" * 30, "No Driver"])
def test_a_driver_that_is_no_name_is_refused(world: World, driver: str) -> None:
    code = create_enrolment_code(world.cluster, agent_name="busan-9")
    request: EnrolRequest = enrol_request(code, driver=driver)
    with pytest.raises(Invalid):
        enrol(request)


def test_retry_is_for_what_failed(world: World) -> None:
    publish = world.withdrawn()
    with pytest.raises(errors.WrongState):
        retrying.retry(world.actor, publish.pk)
    assert Operation.objects.filter(kind=Kind.PUBLISH).count() == 1


def test_a_suggested_hostname_is_always_one_that_could_be_used(world: World) -> None:
    world.product.name = "Pay_API " + "x" * 90
    host = hosts.suggest_hostname(product=world.product, cluster=world.cluster, environment="dev")
    assert host == f"pay-api-{'x' * 42}.dev.kr-seoul.localhost"


def test_a_host_that_a_tombstone_still_holds_is_not_suggested(world: World) -> None:
    publish = world.withdrawn()
    deleting.request_delete(world.actor, publish.pk)
    world.agents[0].confirm_all()
    AgentLiveness.objects.filter(agent=world.agents[1].agent).update(
        last_seen_at=timezone.now() - timedelta(minutes=1)
    )
    sweeping.sweep()
    assert ProductPublish.objects.get().deleted_at is not None
    assert (
        hosts.suggest_hostname(product=world.product, cluster=world.cluster, environment="dev")
        == "payment-api-2.dev.kr-seoul.localhost"
    )


def test_after_a_hiccup_of_its_gateway_an_agent_is_asked_again_until_what_it_told_is_true(
    world: World,
) -> None:
    publish = world.published()
    agent = world.agents[0].agent
    expected = fingerprint([(publish.pk, 1, publish.desired_digest)])
    assert expectations.heartbeat_decision(agent, expected).report is False
    silent = Carried(
        publish_id=publish.pk, generation=1, digest=publish.desired_digest, state=State.LIVE, verified=False
    )
    reported(agent, (silent,))
    assert expectations.heartbeat_decision(agent, expected).report is True
    reported(agent, (silent.model_copy(update={"verified": True}),))
    assert expectations.heartbeat_decision(agent, expected).report is False


def test_one_publish_twice_in_a_report_is_taken_once(world: World) -> None:
    publish = world.published()
    twice = Carried(
        publish_id=publish.pk, generation=1, digest=publish.desired_digest, state=State.LIVE, verified=False
    )
    assert reported(world.agents[0].agent, (twice, twice)) == [publish.pk]


def test_only_what_failed_and_was_last_is_tried_again(world: World) -> None:
    publish = world.published()
    with pytest.raises(errors.WrongState) as refused:
        allowed.check(world.actor, situation_at(world.actor, publish.pk), Action.RETRY)
    assert "Nothing has failed here" in str(refused.value.detail)
    draft = world.draft(hostname_base="second.localhost")
    publishing.request_publish(world.actor, draft.pk)
    (claimed,) = [waiting for waiting in world.agents[0].claim() if waiting.spec.publish_id == draft.pk]
    world.agents[0].answer(claimed, Outcome.REFUSED, code="rejected", message="no")
    with pytest.raises(errors.NotTheLastOperation):
        retrying.retry(world.actor, draft.pk, operation_id=uuid4())


def test_an_agent_that_does_not_count_fails_no_operation(world: World) -> None:
    publish, counting, silent = world.draft(), world.agents[0], world.agents[1]
    publishing.request_publish(world.actor, publish.pk)
    (claimed,) = silent.claim()
    long_ago = timezone.now() - timedelta(minutes=5)
    AgentLiveness.objects.filter(agent=silent.agent).update(last_seen_at=long_ago)
    silent.answer(claimed, Outcome.REFUSED, code="rejected", message="no")
    assert Operation.objects.get(publish=publish).phase != Phase.FAILED
    counting.confirm_all()
    publish.refresh_from_db()
    assert publish.status == Status.PUBLISHED
