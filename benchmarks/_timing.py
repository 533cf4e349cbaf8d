"""Fair timing: two contenders in turn in one process, ratio pair by pair."""

import statistics
import time
from collections.abc import Callable

import jax


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call, until its arrays are there."""
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def paired(
    ours: Callable[[], object], theirs: Callable[[], object], pairs: int
) -> tuple[float, float, list[float]]:
    """Median seconds of each, and the ratios ours / theirs, sorted.

    The order alternates, so that neither always runs on the other's warm cache.
    """
    times: tuple[list[float], list[float]] = [], []
    for i in range(pairs):
        for which in (0, 1) if i % 2 else (1, 0):
            times[which].append(seconds((ours, theirs)[which]))
    ratios = sorted(a / b for a, b in zip(*times, strict=True))
    return statistics.median(times[0]), statistics.median(times[1]), ratios


def spread(ratios: list[float]) -> str:
    """`0.98 [0.96, 1.01]`: the median, and the middle half."""
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"
