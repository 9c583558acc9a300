"""One change of a Kong on its way: how far each group has come, and which issuers the change needs.

Asks and writes nothing; only this module decides what a refusal means for other groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.drivers.base import Refused
from agent.drivers.kong import plan as kong_plan
from agent.drivers.kong.db import Written
from agent.drivers.kong.node import Node
from agent.drivers.kong.plan import Group, Inventory, Plan
from agent.protocol.spec import AuthMode, Spec, State


@dataclass(kw_only=True)
class Change:
    """One change on its way: the present targets by group, and the outcome so far."""

    node: Node
    specs: Sequence[Spec]
    inventory: Inventory
    current: dict[Group, kong_plan.Target]
    changes: int = 0
    refused: dict[Group, Refused] = field(default_factory=dict)
    ahead: dict[Group, int] = field(default_factory=dict)
    """Groups that the gateway carries at a higher generation, which another agent wrote."""
    declined: dict[Group, Refused] = field(default_factory=dict)
    """Refused before anything was written; the fallback has a plan of its own."""
    unproved: set[Group] = field(default_factory=set)
    touched: set[Group] = field(default_factory=set)

    @classmethod
    def of(cls, node: Node, specs: Sequence[Spec], inventory: Inventory) -> "Change":
        """A change of this inventory, of which nothing has happened yet."""
        return cls(
            node=node,
            specs=specs,
            inventory=inventory,
            current={group: dict(target) for group, target in inventory.groups.items()},
        )

    def issuer_plans(self, specs: Sequence[Spec]) -> list[Plan]:
        """One plan per issuer of live publishes.

        A kid that two issuers use is refused to the one whose key does not stand, or else to the second.
        """
        users: dict[str, list[Spec]] = {}
        for spec in specs:
            if spec.state == State.LIVE and spec.auth.mode == AuthMode.OAUTH2:
                users.setdefault(spec.auth.issuer, []).append(spec)
        plans, owners = [], dict(self.inventory.owners)
        for issuer, using in users.items():
            jwks = {str(jwk["kid"]): jwk for spec in using for jwk in spec.auth.jwks if jwk.get("kid")}
            try:
                plans.append(self._issuer_plan(issuer, list(jwks.values()), owners=owners))
                owners |= dict.fromkeys(jwks, kong_plan.issuer_group(issuer))
            except Refused as problem:
                self.refused |= {str(spec.publish_id): problem for spec in using}
        return plans

    def goes_on(self, plan: Plan) -> bool:
        """Whether nothing has stopped this plan's group."""
        return plan.group not in {*self.refused, *self.unproved, *self.ahead}

    def record(self, targets: Mapping[Group, kong_plan.Target], written: Written) -> None:
        """Kong has been given these targets, and has taken those that it did not refuse."""
        self.changes += written.changes
        self.touched |= targets.keys()
        self.refused |= written.refused
        self.current |= {
            group: dict(target) for group, target in targets.items() if group not in written.refused
        }

    def spread_refusals(self, written: Written, plans: Sequence[Plan]) -> None:
        """Publishes of an issuer whose keys were refused cannot work either."""
        for group, refusal in written.refused.items():
            users = [
                plan.group
                for plan in plans
                if plan.pinned_spec and kong_plan.issuer_group(plan.pinned_spec.spec.auth.issuer) == group
            ]
            self.refused |= dict.fromkeys(users, refusal)

    def unneeded_issuers(self) -> list[Group]:
        """The issuers that no publish on this Kong needs any more."""
        final = Inventory(groups=self.current)
        needed = {issuer for group in final.groups for issuer in final.issuers(group)}
        return [
            group
            for group, target in self.current.items()
            if group.startswith("issuer:") and target and group not in needed
        ]

    def _issuer_plan(self, issuer: str, jwks: list[dict[str, Any]], *, owners: Mapping[str, Group]) -> Plan:
        group, changed_ids = kong_plan.issuer_group(issuer), {str(spec.publish_id) for spec in self.specs}
        if taken_kid := next(
            (str(jwk["kid"]) for jwk in jwks if owners.get(str(jwk["kid"]), group) != group), ""
        ):
            raise kong_plan.conflict(taken_kid)
        other_users = [
            user for user in self.current if group in self.inventory.issuers(user) and user not in changed_ids
        ]
        return kong_plan.of_issuer(issuer, jwks, self.inventory.target(group), keep=bool(other_users))
