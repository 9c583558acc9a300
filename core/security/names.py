"""Names of hosts to addresses. Each purpose has a small pool of its own, and in it each owner a part: names that hang keep nobody else waiting."""

from collections.abc import Iterable

import fence
from fence.lookups import Bound, LastKnown, Lookups

UPSTREAMS = Lookups(fence.resolve, bound=Bound(in_all=64, per_owner=8))
"""Of services, by tenant."""

ISSUERS = Lookups(fence.resolve, bound=Bound(in_all=64, per_owner=8))
"""Of issuers of tokens, by tenant."""

AGENTS = Lookups(fence.resolve, bound=Bound(in_all=64, per_owner=2))
"""Of agents, by agent."""

_OURS = Lookups(fence.resolve, bound=Bound(in_all=16, per_owner=16))
_OURS_S = 0.5
_shut = LastKnown()


def fence_around(networks: Iterable[str], reserved: Iterable[str], *, deadline_s: float) -> fence.Fence:
    """These networks, less the reserved `host:port` pairs. Waits half a second at most for their names; one that hangs keeps the addresses known last."""
    pairs = tuple(reserved)
    hosts = [host for host, _ in map(fence.split_endpoint, pairs)]
    return fence.Fence.of(
        networks, pairs, resolver=_shut.through(_OURS.find([hosts], deadline_s=min(deadline_s, _OURS_S)))
    )
