"""What a run has said so far: metrics of calls as rows, rows as columns."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

import jax
import numpy as np

Row: TypeAlias = dict[str, float]
Columns: TypeAlias = dict[str, list[float]]


class Call(NamedTuple):
    """What one call of a step left behind, perhaps still being computed."""

    first: int  # steps made before it
    length: int  # steps made in it
    metrics: Mapping[str, jax.Array]  # scalars, or [length]
    evaluated: Mapping[str, float | jax.Array]  # after its last step; may be empty


def rows(call: Call) -> Iterator[Row]:
    """Waits for `call` and gives a row for each of its steps.

    Metrics of the evaluation are in the last of them.
    """
    columns = {
        name: np.atleast_1d(value).tolist()
        for name, value in jax.device_get(dict(call.metrics)).items()
    }
    for place in range(call.length):
        row: Row = {"step": call.first + place + 1}
        row |= {name: column[place] for name, column in columns.items()}
        if place + 1 == call.length:
            row |= {name: float(value) for name, value in call.evaluated.items()}
        yield row


def append(columns: Columns, row: Row) -> Row:
    """Adds `row` to `columns`, NaN where either lacks a name; returns it complete."""
    length = len(columns["step"])
    for name in row:
        columns.setdefault(name, [math.nan] * length)
    for name, column in columns.items():
        column.append(row.get(name, math.nan))
    return {name: column[-1] for name, column in columns.items()}
