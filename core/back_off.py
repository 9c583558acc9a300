"""Exponential back-off with jitter: the only place that says how long to wait before a retry."""

from random import uniform

LONGEST_S = 60.0


def seconds_after(tries: int) -> float:
    """About 1, 2, 4 … seconds after the first, second, third … try, at most a minute, with jitter."""
    return min(LONGEST_S, 2.0 ** min(max(tries - 1, 0), 6)) * uniform(0.8, 1.2)  # noqa: S311 - jitter
