"""How long to wait before something that failed is tried again: the only place that says so."""

from random import uniform

LONGEST_S = 60.0


def seconds_after(tries: int) -> float:
    """About 1, 2, 4 … seconds after the first, second, third … try, a minute at most; never the same for two that failed together."""
    return min(LONGEST_S, 2.0 ** min(max(tries - 1, 0), 6)) * uniform(0.8, 1.2)  # noqa: S311 - jitter
