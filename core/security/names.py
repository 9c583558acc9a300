"""DNS look-ups: a small pool per purpose, a share per owner, so that slow names delay nobody else."""

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
    """A fence of these networks without the reserved `host:port` pairs.

    Waits at most half a second for their names; a name that hangs keeps its last known addresses.
    """
    pairs = tuple(reserved)
    hosts = [host for host, _ in map(fence.split_endpoint, pairs)]
    return fence.Fence.of(
        networks, pairs, resolver=_shut.through(_OURS.find([hosts], deadline_s=min(deadline_s, _OURS_S)))
    )
