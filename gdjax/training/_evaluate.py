"""Evaluation of a state on a whole split: the last iterate and the average."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp

from gdjax._checks import integer
from gdjax.averaging import averaged_params
from gdjax.data import Examples
from gdjax.training._state import TrainState
from gdjax.training._step import make_eval_step
from gdjax.training._supervised import LossFn, Metrics

# {"last": metrics}, and {"average": metrics} where there is an average.
Evaluation: TypeAlias = dict[str, Metrics]


def make_evaluate(
    loss_fn: LossFn,
    *,
    averaged: bool | Callable[[TrainState], TrainState] = False,
    batch_size: int = 2048,
) -> Callable[[TrainState, Examples], Evaluation]:
    """The metrics of a state on any number of examples, as means over the examples.

        metric = sum_k n_k metric_k / sum_k n_k

    over parts k of at most `batch_size` examples, the last of which may be smaller and
    counts for less. Nothing is waited for.

    Args:
      loss_fn: as in `make_eval_step`; its metrics must be means over examples.
      averaged: whether to evaluate `averaged_params` too, side by side; or what makes
        the state to be evaluated so, such as `averaged_state` with batches for a model
        with batch norms.
      batch_size: examples in one program, >= 1.

    Returns:
      `evaluate(state, (inputs, targets)) -> {"last": metrics, "average": metrics}`,
      the second with `averaged` only. Metrics are scalars by name.

    Raises:
      ValueError: `batch_size` is too small; from `evaluate`, the optimizer keeps no
        average.
      TypeError: `batch_size` is no integer.

    Example:
      >>> model, tx = gd.models.mlp([1]), gd.swa(gd.sgd(0.1), start_step=0)
      >>> evaluate = make_evaluate(gd.training.supervised(model, "mse"), averaged=True)
      >>> examples = gd.data.Examples(np.ones((5, 3)), np.ones((5, 1)))
      >>> state = gd.training.init_state(model, tx, jax.random.key(0), jnp.ones((1, 3)))
      >>> {iterate: list(m) for iterate, m in evaluate(state, examples).items()}
      {'average': ['loss'], 'last': ['loss']}
    """
    batch_size = integer("batch_size", batch_size, 1)
    of_batch = make_eval_step(loss_fn)

    make_average = averaged if callable(averaged) else _with_average

    @jax.jit
    def of_all(states: dict[str, TrainState], batch: Examples) -> Evaluation:
        return {name: of_batch(state, batch) for name, state in states.items()}

    def evaluate(state: TrainState, examples: Examples) -> Evaluation:
        states = {"last": state}
        if averaged:
            states["average"] = make_average(state)
        total = len(jax.tree.leaves(examples)[0])
        if total <= batch_size:
            return of_all(states, examples)
        parts = []
        for start in range(0, total, batch_size):
            part = jax.tree.map(lambda x: x[start : start + batch_size], examples)
            weight = len(jax.tree.leaves(part)[0]) / total
            parts.append(jax.tree.map(lambda x: weight * x, of_all(states, part)))
        return jax.tree.map(lambda *x: jnp.sum(jnp.stack(x)), *parts)

    return evaluate


@jax.jit
def _with_average(state: TrainState) -> TrainState:
    return state._replace(params=averaged_params(state.opt_state, state.params))
