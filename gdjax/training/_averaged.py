"""The state of a run with the average of its iterates in place of the last one."""

from collections.abc import Iterable

import jax

from gdjax.averaging import averaged_params, recalibrate_batch_stats
from gdjax.models import Model
from gdjax.training._state import TrainState
from gdjax.tree import Tree

_params_of = jax.jit(averaged_params, static_argnames="name")


def averaged_state(
    model: Model,
    state: TrainState,
    batches: Iterable[Tree] = (),
    *,
    name: str | None = None,
) -> TrainState:
    """The state with averaged parameters, and the batch statistics that belong to them.

    To evaluate them, or to go on from there with `opt_state=tx.init(state.params)`.

    Args:
      model: what is trained.
      state: of a run whose optimizer keeps an average.
      batches: training inputs, over which `recalibrate_batch_stats` computes the
        statistics of batch norms, with `key` the state's. Not read where `model_state`
        is empty; without any it stays that of the last iterate, which is wrong for an
        average.
      name: which average, as in `averaged_params`.

    Returns:
      `state` with other `params` and `model_state`.

    Raises:
      ValueError: as from `averaged_params` and `recalibrate_batch_stats`.

    Example:
      >>> model, tx = gd.models.mlp([1], normalization="batch"), gd.swa(gd.sgd(0.1), 0)
      >>> inputs = np.array([[1.0], [3.0]], np.float32)
      >>> state = gd.training.init_state(model, tx, jax.random.key(0), inputs)
      >>> averaged_state(model, state, [inputs]).params.keys() == state.params.keys()
      True
    """
    params = _params_of(state.opt_state, state.params, name=name)
    batches = list(batches)
    if not batches or not jax.tree.leaves(state.model_state):
        return state._replace(params=params)
    key = jax.random.fold_in(state.key, state.step)
    model_state = recalibrate_batch_stats(
        model.apply, params, state.model_state, batches, key=key
    )
    return state._replace(params=params, model_state=model_state)
