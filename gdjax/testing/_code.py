"""Trees and calls as Python text: what the reproducers are made of."""

from collections.abc import Mapping

import jax
import numpy as np

from gdjax import tree
from gdjax.testing._probe import (
    IMPORTS,
    Subject,
    at,
    gradients,
)
from gdjax.tree import Tree


def one_update(
    subject: Subject,
    params: Tree,
    factor: str = "",
    numbers: Mapping[str, str] | None = None,
) -> list[str]:
    """Lines that make `updates` and `new` out of `g`, `state` and `p`.

    Gradients are multiplied by `factor`; `numbers`, as code, replace those given.
    """
    shown = {
        k: v for k, v in tree.named_leaves(params).items() if not tree.is_absent(v)
    }
    grads = at(gradients(params), 0)
    code = subject.code(**(numbers or {}))
    return [
        IMPORTS,
        f"tx, p = {code}, {as_code(shown)}",
        f"g = jax.tree.map(lambda a: ({factor}a).astype(a.dtype), {as_code(grads)})",
        "state = tx.init(p); updates, new = tx.update(g, state, p)",
    ]


def sum_of_updates(subject: Subject, name: str) -> list[str]:
    """Lines that make `f`: from the value of a number to a sum of updates, jitted."""
    return [
        IMPORTS,
        f"make = lambda x: {subject.code(**{name: 'x'})}",
        "p = g = jnp.array([0.5, -1.0, 2.0])",
        "f = jax.jit(lambda x: make(x).update(g, make(x).init(p), p)[0].sum())",
    ]


def as_code(values: Tree) -> str:
    """A tree of arrays as Python."""
    if isinstance(values, dict):
        inner = (
            f"{k!r}: {as_code(v)}" for k, v in values.items() if not tree.is_absent(v)
        )
        return "{" + ", ".join(inner) + "}"
    if np.size(values) == 0:
        return f"jnp.zeros({values.shape}, {values.dtype.name!r})"
    return f"jnp.array({np.asarray(values).tolist()}, {values.dtype.name!r})"


def dtypes_of(params: Tree) -> str:
    return "/".join(sorted({str(p.dtype) for p in jax.tree.leaves(params)}))


def shapes_of(values: Tree) -> str:
    return str({path: np.shape(x) for path, x in tree.named_leaves(values).items()})


def first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
