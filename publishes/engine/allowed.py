"""Which actions a publish allows now, to whom, and why not: one table of rules.

A service asks it under its lock (`require`), pages and the API show what it says (`permissions`): none can
contradict another. It knows rights and states; the verb checks what would be sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from clusters.models import Cluster, open_to
from core.problems import NotFound, Problem, Text
from products.models import Product
from publishes import errors
from publishes.choices import AuthMode, Kind, Status
from publishes.engine.hosts import is_allowed_host
from publishes.models import ProductPublish
from publishes.reading.facts.situation import Situation, situation_of
from tenants.actors import Actor

Rule = Callable[[Situation], None]
"""Raises its refusal of a situation."""

HAS_ENDED = _("It has ended already, so there is nothing to cancel.")


class Action(StrEnum):
    """What a person can do with a publish."""

    EDIT = "edit"
    PUBLISH = "publish"
    WITHDRAW = "withdraw"
    DELETE = "delete"
    CANCEL = "cancel"
    RETRY = "retry"
    MAKE_TEST_KEY = "make_test_key"
    SWITCH_OFF_KEY = "switch_off_key"


@dataclass(frozen=True)
class Permission:
    """Whether an action is allowed now; if not, the refusal that its service would raise."""

    refusal: Problem | None = None

    @property
    def is_allowed(self) -> bool:
        """Whether the service would begin the action."""
        return self.refusal is None

    @property
    def code(self) -> str:
        """The refusal's code; empty when allowed."""
        return self.refusal.code if self.refusal else ""

    @property
    def reason(self) -> Text:
        """The refusal's sentence; empty when allowed."""
        return self.refusal.detail if self.refusal else ""


def require(actor: Actor, publish: ProductPublish, action: Action) -> None:
    """Raises Forbidden for a role that may not write, then what the publish's state says against the action.

    The publish was read with its product and cluster, under its lock where the action follows.
    Two queries at most.
    """
    actor.require_write()
    check(actor, situation_of(publish), action)


def check(actor: Actor, situation: Situation, action: Action) -> None:
    """The same for a situation that was read already. One query less."""
    actor.require_write()
    for rule in _RULES[action]:
        rule(situation)


def permissions(actor: Actor, situation: Situation) -> dict[Action, Permission]:
    """For each action whether the actor may do it now. No query."""
    return {action: _permission(actor, situation, action) for action in Action}


def require_active(product: Product) -> None:
    """Raises ProductNotActive."""
    if product.status == Product.Status.ARCHIVED:
        raise errors.ProductNotActive(_("The product is archived, so this is not published any more."))
    if product.status != Product.Status.ACTIVE:
        raise errors.ProductNotActive


def require_open(cluster: Cluster, tenant_id: UUID) -> None:
    """Raises ClusterClosed unless operators let the tenant use the cluster. One query."""
    if not Cluster.objects.filter(open_to(tenant_id), pk=cluster.pk).exists():
        raise errors.ClusterClosed


def _permission(actor: Actor, situation: Situation, action: Action) -> Permission:
    try:
        check(actor, situation, action)
    except Problem as refusal:
        return Permission(refusal)
    return Permission()


def _is_thawed(situation: Situation) -> None:
    if situation.publish.frozen_at is not None:
        raise errors.Frozen


def _is_at_rest(situation: Situation) -> None:
    if situation.has_open_request:
        raise errors.AlreadyInProgress


def _status_allows(action: Action) -> Rule:
    """The rule that asks `_WRONG_STATUS`."""

    def rule(situation: Situation) -> None:
        if refusal := _WRONG_STATUS[action].get(Status(situation.publish.status)):
            raise errors.WrongState(refusal)

    return rule


def _product_is_active(situation: Situation) -> None:
    require_active(situation.publish.product)


def _place_is_open(situation: Situation) -> None:
    if not situation.is_place_open:
        raise errors.ClusterClosed
    if situation.publish.cluster.maintenance:
        raise errors.ClusterInMaintenance


def _host_is_allowed(situation: Situation) -> None:
    cluster = situation.publish.cluster
    if not is_allowed_host(situation.publish.hostname_base, cluster=cluster):
        suffixes = ", ".join(cluster.host_suffixes)
        raise errors.HostNotAllowed(errors.HostNotAllowed.detail % {"suffixes": suffixes})


def _is_served(situation: Situation) -> None:
    if not situation.is_served:
        raise errors.NoAgent


def _is_cancellable(situation: Situation) -> None:
    if situation.operation is None:
        raise errors.WrongState(_("Nothing is going on, so there is nothing to cancel."))
    if not situation.operation.is_open:
        raise errors.WrongState(HAS_ENDED)
    if situation.operation.kind != Kind.PUBLISH:
        raise errors.NotCancellable


def _can_be_tried_again(situation: Situation) -> None:
    """A retry requests the failed verb anew, so the rules of that verb count too."""
    if situation.operation is None or not situation.has_failed:
        raise errors.WrongState(_("Nothing has failed here, so there is nothing to try again."))
    for rule in _RULES[_VERBS[Kind(situation.operation.kind)]]:
        rule(situation)


def _asks_for_keys(situation: Situation) -> None:
    if situation.publish.auth_mode != AuthMode.API_KEY:
        raise errors.NoKeysAskedFor


def _lets_a_key_in(situation: Situation) -> None:
    if not situation.has_active_key:
        raise NotFound(_("No key is let in here, so there is none to switch off."))


_VERBS = {Kind.PUBLISH: Action.PUBLISH, Kind.WITHDRAW: Action.WITHDRAW, Kind.DELETE: Action.DELETE}
_ONLY_DRAFTS = _(
    "Only a draft can be changed. Other settings need a new publish with a hostname of its own; "
    "this one is free once it is deleted."
)
_WRONG_STATUS: dict[Action, dict[Status, Text]] = {
    Action.EDIT: {Status.PUBLISHED: _ONLY_DRAFTS, Status.WITHDRAWN: _ONLY_DRAFTS},
    Action.PUBLISH: {
        Status.PUBLISHED: _("It is published already. Withdraw it first if you want to publish it anew.")
    },
    Action.WITHDRAW: {
        Status.DRAFT: _("A draft is not live, so there is nothing to withdraw. Publish it, or delete it."),
        Status.WITHDRAWN: _("It is withdrawn already. Publish it again, or delete it."),
    },
    Action.DELETE: {Status.PUBLISHED: _("It is live. Withdraw it first; then it can be deleted.")},
}
"""For each action that depends on the status: the statuses that refuse it, with what to do instead."""

_RULES: dict[Action, tuple[Rule, ...]] = {
    Action.EDIT: (_status_allows(Action.EDIT), _is_thawed, _is_at_rest),
    Action.PUBLISH: (
        _is_thawed,
        _is_at_rest,
        _status_allows(Action.PUBLISH),
        _product_is_active,
        _place_is_open,
        _host_is_allowed,
        _is_served,
    ),
    Action.WITHDRAW: (_is_thawed, _is_at_rest, _status_allows(Action.WITHDRAW)),
    Action.DELETE: (_is_thawed, _is_at_rest, _status_allows(Action.DELETE)),
    Action.CANCEL: (_is_thawed, _is_cancellable),
    Action.RETRY: (_can_be_tried_again,),
    Action.MAKE_TEST_KEY: (_asks_for_keys,),
    Action.SWITCH_OFF_KEY: (_asks_for_keys, _lets_a_key_in),
}
"""For each action the rules that it must pass, in this order: the first refusal is the reason."""
