"""The whole state of a training run as one tree, and how it starts."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer

from gdjax.models import Model
from gdjax.parallel import Plan


class TrainState(NamedTuple):
    """All that a step reads and rewrites; a step is a pure function of it.

    Attributes:
      step: i32[], updates made.
      params: the model's parameters.
      model_state: what the model changes without a gradient, `{}` for nothing.
      opt_state: the optimizer's state.
      key: the random key of the run, never changed: every step folds `step` into it.
    """

    step: jax.Array
    params: optax.Params
    model_state: optax.Params
    opt_state: optax.OptState
    key: jax.Array


def init_state(
    model: Model,
    tx: optax.GradientTransformation,
    key: jax.Array,
    inputs: optax.Params,
    *,
    sharding: Plan | None = None,
) -> TrainState:
    """The state before the first step.

    Compiled as one program, so that no two leaves share a buffer and the state may be
    donated; `key` stays the caller's. Where only shapes are wanted, it may be traced:
    `jax.eval_shape(lambda key: init_state(model, tx, key, inputs), key)`.

    Args:
      model: what is trained.
      tx: its optimizer.
      key: a typed key or a raw uint32[2] one; the state keeps its kind.
      inputs: any batch of inputs, [batch, ...]; only shapes and dtypes are read.
      sharding: a plan of `gdjax.parallel`; by default all lives on one device.

    Returns:
      The state at step 0.

    Example:
      >>> model = gd.models.mlp([4, 2])
      >>> state = init_state(model, gd.sgd(0.1), jax.random.key(0), jnp.ones((1, 3)))
      >>> int(state.step), state.params["output"]["kernel"].shape
      (0, (4, 2))
    """

    def init(key: jax.Array, inputs: optax.Params) -> TrainState:
        params_key, run_key = jax.random.split(key)
        params, model_state = model.init(params_key, inputs)
        step = jnp.zeros([], jnp.int32)
        return TrainState(step, params, model_state, tx.init(params), run_key)

    # It runs once: on a CPU the random numbers of a few layers take LLVM seconds to
    # optimize, and are the same bits without.
    cpu = jax.default_backend() == "cpu" and not isinstance(key, Tracer)
    options = {"xla_backend_optimization_level": 1} if cpu else None
    state = jax.jit(init, compiler_options=options)(key, inputs)
    return state if sharding is None else sharding.place_state(state)
