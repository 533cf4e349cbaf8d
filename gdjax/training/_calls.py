"""Batches gathered into calls of a step, and the time that these take."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from gdjax.data import prefetch
from gdjax.training._supervised import Batch

T = TypeVar("T")
Call: TypeAlias = tuple[Batch, int, int]  # a batch, steps before it, steps in it


class Batches(Protocol):
    """Batches as a pure function of the step, as `gdjax.data.source` makes them."""

    def batch(self, step: int, /) -> Batch: ...


def calls(
    source: Batches, start: int, stop: int, per_call: int, looks: Sequence[int]
) -> Generator[Call, None, None]:
    """What each call of the step gets, never across a multiple of `looks`."""
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
        yield jax.tree.map(_stack, *batches), first, len(batches)
        first += len(batches)


def ahead(calls: Generator[Call, None, None]) -> Generator[Call, None, None]:
    """`calls`, made and moved to the device by a thread, where that saves waiting.

    On a CPU it does not: batches are made where they are needed.
    """
    if jax.default_backend() == "cpu":
        return calls
    alone, x64 = jax.device_count() == 1, jax.config.read("jax_enable_x64")

    def made() -> Iterator[Call]:
        with jax.enable_x64(x64):  # which holds in one thread only
            for batch, first, length in calls:
                # Among several, the plan of the step says where it goes.
                yield (jax.device_put(batch) if alone else batch), first, length

    return prefetch(made(), put=lambda call: call)


def _stack(*leaves: jax.Array | np.ndarray) -> jax.Array | np.ndarray:
    resident = isinstance(leaves[0], jax.Array)  # and stays where it is
    return jnp.stack(leaves) if resident else np.stack(leaves)


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
