"""The mean of what several sets of parameters predict."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdjax import tree


def ensemble_predict(
    apply: Callable[[optax.Params, tree.Tree], tree.Tree],
    stacked_params: optax.Params,
    inputs: tree.Tree,
) -> tree.Tree:
    """The mean of what n sets of parameters predict, one after the other.

        (1 / n) sum_i apply(params_i, inputs)

    The mean of probabilities is not that of logits: `apply` decides which.

    Args:
      apply: `apply(params, inputs) -> outputs`, such as `lambda p, x:
        jax.nn.softmax(model.apply(p, model_state, x)[0])`. Compiled once for each one:
        define it once. Batch norms need statistics of their own for each: stack a pair
        of parameters and model state.
      stacked_params: [n, ...] each leaf, as `stacked_params` gives them.
      inputs: what `apply` takes.

    Returns:
      Like the outputs, in at least f32.

    Raises:
      ValueError: the leaves differ in n, or have none.

    Example:
      >>> stacked = {"w": jnp.array([1.0, 3.0])}
      >>> print(ensemble_predict(lambda p, x: p["w"] * x, stacked, jnp.ones(2)))
      [2. 2.]

    Reference: Huang et al. (2017), Snapshot ensembles, arXiv:1704.00109.
    """
    sizes = {np.shape(x)[:1] for x in jax.tree.leaves(stacked_params)}
    if len(sizes) != 1 or sizes & {(), (0,)}:
        raise ValueError(
            "`stacked_params` must have one first axis, of at least 1, in all leaves, "
            f"got {sorted(sizes)}."
        )
    return _mean_output(apply, stacked_params, inputs)


@functools.partial(jax.jit, static_argnames="apply")
def _mean_output(apply, stacked_params, inputs):
    outputs = jax.lax.map(lambda params: apply(params, inputs), stacked_params)
    return jax.tree.map(lambda x: jnp.mean(tree.widened(x), axis=0), outputs)
