"""Batches gathered into calls of a step, and the time that these take."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import jax
import numpy as np

from gdjax.training._supervised import Batch

T = TypeVar("T")


class Batches(Protocol):
    """Batches as a pure function of the step, as `gdjax.data.source` makes them."""

    def batch(self, step: int, /) -> Batch: ...


def calls(
    source: Batches, start: int, stop: int, per_call: int, looks: Sequence[int]
) -> Iterator[tuple[Batch, int, int]]:
    """(batch, steps before it, steps in it), never across a multiple of `looks`."""
    first = start
    while first < stop:
        ends = [every * (first // every + 1) for every in looks]
        end = min(stop, first + per_call, *ends)
        batch = source.batch(first)
        if per_call == 1:
            yield batch, first, 1
            first += 1
            continue
        batches = [batch]
        size = _size(batch)
        for step in range(first + 1, end):
            batch = source.batch(step)
            if _size(batch) != size:
                break
            batches.append(batch)
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
        yield stacked, first, len(batches)
        first += len(batches)


def _size(batch: Batch) -> int:
    return len(jax.tree.leaves(batch)[0])


class Clock:
    """Compiling, which happens in the first call of a kind, apart from the rest."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._kinds: set[object] = set()
        self._compiling = 0.0

    def time(self, kind: object, function: Callable[..., T], *args: object) -> T:
        before = time.perf_counter()
        result = function(*args)
        if kind not in self._kinds:
            self._kinds.add(kind)
            self._compiling += time.perf_counter() - before
        return result

    def seconds(self) -> float:
        return time.perf_counter() - self._start

    def speed(self, steps: int) -> float:
        """Steps a second, compiling not counted."""
        return steps / (self.seconds() - self._compiling)

    def summary(self, steps: int) -> str:
        return (
            f"{self.seconds():.1f} s: compile {self._compiling:.1f} s, "
            f"{self.speed(steps):,.0f} steps/s"
        )
