"""Compiled train and evaluation steps, on one device or under a sharding plan."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import optax

from gdjax._checks import integer
from gdjax.parallel import Plan
from gdjax.training._health import assert_sound
from gdjax.training._state import TrainState
from gdjax.training._supervised import Batch, LossFn, Metrics
from gdjax.training._update import Report, make_update, scanned


@dataclass(frozen=True)
class TrainStep:
    """`step(state, batch) -> (state, metrics)`, compiled; the state is donated.

    Attributes:
      steps_per_call: with 1, `batch` is one batch and metrics are scalars; with k, all
        leaves of `batch` have a first axis of 1 to k steps, and metrics have it too.
      run: what is called; its second result holds the evidence of `debug`.
    """

    steps_per_call: int
    run: Callable[[TrainState, Batch], tuple[TrainState, Report]]

    def __call__(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        if self.steps_per_call > 1:
            given = {len(leaf) for leaf in jax.tree.leaves(batch)}
            if len(given) != 1 or not 1 <= max(given) <= self.steps_per_call:
                raise ValueError(
                    f"`batch` must stack 1 to {self.steps_per_call} batches along a "
                    f"new first axis, got first axes of {sorted(given)}."
                )
        state, (metrics, evidence) = self.run(state, batch)
        if evidence is not None:
            stacked = self.steps_per_call > 1
            assert_sound(evidence, int(state.step), stacked=stacked)
        return state, metrics


def make_train_step(
    loss_fn: LossFn,
    tx: optax.GradientTransformation,
    *,
    sharding: Plan | None = None,
    microbatches: int = 1,
    steps_per_call: int = 1,
    debug: bool = False,
) -> TrainStep:
    """A compiled step of training: gradient, transformation, new parameters.

        g_t = grad of the loss at x_t;   u_t = tx(g_t);   x_{t+1} = x_t + u_t

    A step is a pure function of state and batch: its random key is `state.key` folded
    with `state.step`. The transformation also gets `value`, `grad`, `value_fn` and
    `grad_fn` (of parameters alone, on this batch), for line searches and their like.

    Metrics are those of `loss_fn`, `loss`, `grad_norm` (before the transformation) and
    what the transformation has to say (`gd.metrics`): its learning rate, for one.

    Args:
      loss_fn: `(params, model_state, batch, key) -> (loss, (model_state, metrics))`,
        as `supervised` returns it.
      tx: the optimizer, as in `init_state`.
      sharding: a plan of `gdjax.parallel`; batches stay global, any state is accepted.
      microbatches: parts of a batch, >= 1, whose gradients are computed one after the
        other and averaged, for batches that do not fit into memory; then comes one
        update. Numbers are those of the whole batch, up to the order of sums: the loss
        must be a mean over examples. Metrics are means over the parts; a batch norm
        sees each part alone, a clip in `tx` the whole gradient. Each part has a key of
        its own. For batches that arrive apart take `accumulate`.
      steps_per_call: steps in one program (a scan), >= 1: saves the cost of a call,
        which dominates for small models. `batch` then stacks up to so many batches.
      debug: raises at the call when a gradient, an update or the state is not finite,
        or a second moment (a field named `nu`) is negative, as chex asserts it. Waits
        for every call, which returns these trees for each of its steps.

    Returns:
      The step. It donates the state: use the one that it returns.

    Raises:
      ValueError: a number is out of range; from the call, two sources have a metric
        of one name, or a batch has not the steps or examples asked for, or cannot be
        split evenly.
      AssertionError: from the call, a step would change a dtype or shape of the state.
      FloatingPointError: from the call with `debug`, naming leaf and step.

    Example:
      >>> model, tx = gd.models.mlp([1]), gd.sgd(0.1)
      >>> step = make_train_step(gd.training.supervised(model, "mse"), tx)
      >>> batch = (jnp.ones((8, 3)), jnp.ones((8, 1)))
      >>> state = gd.training.init_state(model, tx, jax.random.key(0), batch[0])
      >>> state, metrics = step(state, batch)
      >>> int(state.step), sorted(metrics)
      (1, ['grad_norm', 'learning_rate', 'loss'])
    """
    microbatches = integer("microbatches", microbatches, 1)
    steps_per_call = integer("steps_per_call", steps_per_call, 1)
    stacked = steps_per_call > 1
    update = make_update(
        loss_fn,
        tx,
        microbatches=microbatches,
        num_devices=1 if sharding is None else sharding.mesh.size,
        debug=debug,
    )
    update = scanned(update) if stacked else update
    if sharding is None:
        run = jax.jit(update, donate_argnums=0)
    else:
        run = sharding.compile_step(update, stacked=stacked)
    return TrainStep(steps_per_call, run)


def make_eval_step(loss_fn: LossFn) -> Callable[[TrainState, Batch], Metrics]:
    """A compiled evaluation: the metrics of a loss function without training.

    Args:
      loss_fn: as in `make_train_step`; it is called with `key=None`.

    Returns:
      `eval_step(state, batch) -> metrics`, scalars, `loss` among them. For an average,
      give it `state._replace(params=gd.averaged_params(state.opt_state, ...))`.

    Example:
      >>> model, tx = gd.models.mlp([1]), gd.sgd(0.1)
      >>> eval_step = make_eval_step(gd.training.supervised(model, "mse"))
      >>> batch = (jnp.ones((8, 3)), jnp.ones((8, 1)))
      >>> state = gd.training.init_state(model, tx, jax.random.key(0), batch[0])
      >>> sorted(eval_step(state, batch))
      ['loss']
    """

    @jax.jit
    def eval_step(state: TrainState, batch: Batch) -> Metrics:
        loss, (_, metrics) = loss_fn(state.params, state.model_state, batch, None)
        return {"loss": loss, **metrics}

    return eval_step
