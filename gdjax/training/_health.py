"""Numbers that must be finite: found after a run, asserted by `debug=True` in it."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import GetAttrKey, tree_leaves_with_path

from gdjax import tree
from gdjax.training._state import TrainState
from gdjax.transforms import GuardState


class Evidence(NamedTuple):
    """What a step made, in the order in which a fault spreads."""

    gradients: optax.Updates
    updates: optax.Updates
    state: TrainState


def assert_sound(evidence: Evidence, last: int, *, stacked: bool) -> None:
    """Raises for the first leaf of the first step that is not what it must be.

    Args:
      evidence: of a call; with `stacked`, each leaf has a first axis of steps.
      last: the last step of the call, counted after the update.

    Raises:
      FloatingPointError: with the leaf's path and the step.
    """
    import chex

    leaves = [
        (what, path, leaf)
        for what, values in evidence._asdict().items()
        for path, leaf in tree_leaves_with_path(values)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    ]
    arrays = [np.asarray(leaf) for _, _, leaf in leaves]
    rows = arrays if stacked else [array[None] for array in arrays]
    first = last - len(rows[0]) + 1
    for step in range(first, last + 1):
        for (what, path, _), row in zip(leaves, rows, strict=True):
            name, value = f"{what}: `{tree.path_name(path)}`", row[step - first]
            sentence = f"{name} is not finite at step {step}."
            _assert(chex.assert_tree_all_finite, value, sentence)
            if what == "state" and GetAttrKey("nu") in path:
                least = float(value.min(initial=np.inf))
                sentence = f"{name} is negative at step {step}."
                _assert(chex.assert_scalar_non_negative, least, sentence)


def _assert(assertion: Callable, value: object, sentence: str) -> None:
    try:
        assertion(value)
    except AssertionError as error:
        raise FloatingPointError(sentence) from error


def first_bad(state: TrainState) -> str | None:
    """The path of the first leaf with a bad number, parameters first, if there is one.

    Bad is NaN, and infinity in parameters: a mask or a best value may be infinite.
    """
    for name in ("params", "model_state", "opt_state"):
        bad = np.isnan if name != "params" else lambda x: ~np.isfinite(x)
        for path, leaf in tree_leaves_with_path(getattr(state, name)):
            if _inexact(leaf) and bad(np.asarray(leaf)).any():
                return f"{name}/{tree.path_name(path)}".removesuffix("/")
    return None


def skipped_for(state: TrainState) -> str | None:
    """The leaf for which a guard in the optimizer last skipped a step, if one did."""
    skips = (
        node.first_bad(state.params)
        for _, node in tree.nodes(state.opt_state)
        if isinstance(node, GuardState) and node.num_skipped
    )
    return next(skips, None)


def has_finite_params(state: TrainState) -> bool:
    leaves = filter(_inexact, jax.tree.leaves(state.params))
    return all(np.isfinite(np.asarray(leaf)).all() for leaf in leaves)


def _inexact(leaf: jax.typing.ArrayLike) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)
