"""The sweep: what time alone decides, every two seconds. And once a minute, what has expired is forgotten."""

from collections.abc import Callable
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from clusters import agent_keys, liveness
from clusters.models import Agent
from clusters.services import forget_used_requests
from core.api.idempotency import forget_old_keys
from core.api.limits import forget_old_windows
from publishes.choices import OPEN_PHASES
from publishes.engine import adoption, expectations, keys, outbox, settlement, syncs
from publishes.engine.rounds import Round, isolated_turn
from publishes.models import Delivery
from tenants.people import invitations, sessions

ROUNDS = (_SETTLING, _ADOPTING, _EXPIRING, _SYNCING) = (
    Round("settle"),
    Round("adopt"),
    Round("expire_keys"),
    Round("sync"),
)


def sweep() -> bool:
    """The guarantee: note which agents came or went, wake workers for what is due, settle what time decides.

    A step that fails does not stop the others. Returns whether all steps worked: a row that failed is put
    back, and its step has worked all the same.
    """
    steps: dict[str, Callable[[], object]] = {
        "note_changes": liveness.note_changes,
        "explain_absence": settlement.explain_absence,
        "forget_other_drivers": settlement.forget_other_drivers,
        "wake": lambda: outbox.wake(_agents_with_due_rows()),
        "settle": lambda: _SETTLING.run(expectations.decidable_operations(), settlement.settle_by_id),
        "adopt": lambda: _ADOPTING.run(adoption.frozen_without_alarm(), adoption.adopt_without_alarm),
        "expire_keys": lambda: _EXPIRING.run(keys.publishes_with_expired_keys(), keys.expire_keys),
        "sync": lambda: _SYNCING.run(syncs.publishes_to_sync(), syncs.sync_by_id),
        "release_hosts": settlement.release_hosts,
    }
    failed = [name for name, step in steps.items() if not _has_worked(name, step)]
    return not failed


def tidy() -> None:
    """Forget what has expired; nothing depends on when."""
    forget_used_requests()
    forget_old_keys()
    forget_old_windows()
    liveness.forget_old_events()
    sessions.forget_expired()
    invitations.forget_expired()
    agent_keys.request_for_old_keys()


def _has_worked(name: str, step: Callable[[], object]) -> bool:
    with isolated_turn(name) as turn:
        step()
    return not turn.has_failed


def _agents_with_due_rows() -> list[UUID]:
    due = Delivery.objects.filter(agent=OuterRef("pk"), phase__in=OPEN_PHASES, due_at__lte=Now())
    return list(
        Agent.objects.enrolled().connected().filter(Exists(due)).exclude(url="").values_list("pk", flat=True)
    )
