"""The status of a publish: which moves exist, and the only function that makes one."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.problems import Text
from publishes.choices import EventKind, Status
from publishes.errors import WrongState
from publishes.models import Operation, ProductPublish, PublishEvent

_FROM: dict[Status, tuple[Status, ...]] = {
    Status.PUBLISHED: (Status.DRAFT, Status.WITHDRAWN),
    Status.WITHDRAWN: (Status.PUBLISHED,),
}
_EVENT = {Status.PUBLISHED: EventKind.PUBLISHED, Status.WITHDRAWN: EventKind.WITHDRAWN}
_REFUSAL: dict[tuple[Status, Status], Text] = {
    (Status.PUBLISHED, Status.PUBLISHED): _("It is published already. Withdraw it first if you want to publish it anew."),
    (Status.DRAFT, Status.WITHDRAWN): _("A draft is not live, so there is nothing to withdraw. Publish it, or delete it."),
    (Status.WITHDRAWN, Status.WITHDRAWN): _("It is withdrawn already. Publish it again, or delete it."),
}


def check(publish: ProductPublish, to: Status) -> None:
    """Raises WrongState, with a sentence that says what to do, unless the publish may move to that status."""
    if publish.status not in _FROM[to]:
        raise WrongState(_REFUSAL[Status(publish.status), to])


def check_editable(publish: ProductPublish) -> None:
    """Only a draft can be edited. Raises WrongState."""
    if publish.status != Status.DRAFT:
        raise WrongState(_("Only a draft can be changed. Other settings need a new publish with a hostname of its own; this one is free once it is deleted."))


def check_deletable(publish: ProductPublish) -> None:
    """What is live is withdrawn before it is deleted. Raises WrongState."""
    if publish.status == Status.PUBLISHED:
        raise WrongState(_("It is live. Withdraw it first; then it can be deleted."))


def move(publish: ProductPublish, to: Status, *, operation: Operation, evidence: dict[str, Any]) -> None:
    """Change the status, and write the transition's line of history, in the caller's transaction.

    Raises WrongState when somebody else moved it in between; then nothing was written.
    """
    now = timezone.now()
    changes: dict[str, Any] = {"status": to, "updated_at": now}
    if to == Status.PUBLISHED:
        changes |= {"published_at": now, "published_by": operation.actor_label}
    else:
        changes |= {"withdrawn_at": now, "withdrawn_by": operation.actor_label}
    moved = ProductPublish.objects.filter(pk=publish.pk, status=publish.status, status__in=_FROM[to]).update(**changes)
    if moved != 1:
        raise WrongState
    PublishEvent.objects.create(
        publish=publish,
        operation=operation,
        kind=_EVENT[to],
        from_status=publish.status,
        to_status=to,
        actor_label=operation.actor_label,
        actor_user_id=operation.actor_user_id,
        note=operation.note,
        evidence=evidence,
    )
    for name, value in changes.items():
        setattr(publish, name, value)
