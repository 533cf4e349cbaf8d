"""What a run has said so far: metrics of calls as rows, rows as columns."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

import jax
import numpy as np

from gdjax.tree import Tree

Row: TypeAlias = dict[str, float]
Columns: TypeAlias = dict[str, list[float]]


def called(metrics: Iterable[str], name: str) -> list[str]:
    """Those of `metrics` that are called `name`, whatever path stands before it."""
    return [metric for metric in metrics if metric.rpartition("/")[2] == name]


class Call(NamedTuple):
    """What one call of a step left behind, perhaps still being computed."""

    first: int  # steps made before it
    length: int  # steps made in it
    metrics: Mapping[str, jax.Array]  # scalars, or [length]
    evaluated: Mapping[str, float | jax.Array]  # after its last step; may be empty
    copied: tuple[int, Tree] | None  # to be saved once its rows are kept

    @property
    def end(self) -> int:
        return self.first + self.length

    def ready(self) -> bool:
        """Whether it is computed."""
        leaves = jax.tree.leaves((self.metrics, self.evaluated))
        return all(getattr(leaf, "is_ready", lambda: True)() for leaf in leaves)

    @property
    def evaluation(self) -> dict[str, float | jax.Array]:
        """Its evaluation, `eval_NAME` where the step has a metric of that name."""
        named = {
            f"eval_{name}" if name in self.metrics else name: value
            for name, value in self.evaluated.items()
        }
        names = ["step", *self.metrics, *named]
        if len(set(names)) < len(names):
            twice = max(names, key=names.count)
            raise ValueError(f"two columns would be called `{twice}`: rename a metric.")
        return named

    def rows(self, due: Callable[[int], bool]) -> Iterator[Row]:
        """Waits, and gives the rows of steps that are due or ended badly.

        That is without a finite loss, or with a guard that gave up. Metrics of the
        evaluation are in the last step's.
        """
        well = np.isfinite(self._column("loss"))
        for name in called(self.metrics, "guard_gave_up"):
            well &= self._column(name) == 0
        places = [
            place
            for place in range(self.length)
            if due(self.first + place + 1) or not well[place]
        ]
        if not places:
            return
        for value in self.metrics.values():
            getattr(value, "copy_to_host_async", lambda: None)()
        columns = {name: self._column(name).tolist() for name in self.metrics}
        evaluation = self.evaluation
        for place in places:
            row: Row = {"step": self.first + place + 1}
            row |= {name: column[place] for name, column in columns.items()}
            if place + 1 == self.length:
                row |= {name: float(value) for name, value in evaluation.items()}
            yield row

    def _column(self, name: str) -> np.ndarray:
        """The metric at each step; zeros where there is none of this name."""
        values = np.asarray(self.metrics.get(name, 0))
        if values.shape not in ((), (self.length,)):
            raise ValueError(
                f"metric `{name}` must be a scalar, got shape {values.shape}."
            )
        values = values.astype(int) if values.dtype == bool else values
        return values if values.ndim else np.full(self.length, values)


def append(columns: Columns, row: Row) -> Row:
    """Adds `row` to `columns`, NaN where either lacks a name; returns it complete."""
    length = len(columns["step"])
    for name in row:
        columns.setdefault(name, [math.nan] * length)
    for name, column in columns.items():
        column.append(row.get(name, math.nan))
    return {name: column[-1] for name, column in columns.items()}


def as_columns(rows: Iterable[Row]) -> Columns:
    """The columns of all `rows`."""
    columns: Columns = {"step": []}
    for row in rows:
        append(columns, row)
    return columns
