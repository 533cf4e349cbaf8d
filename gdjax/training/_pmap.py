"""The train step under `jax.pmap`, for code that lives by it."""

from collections.abc import Sequence

import jax
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gdjax._checks import integer
from gdjax.parallel import check_batch
from gdjax.training._state import TrainState
from gdjax.training._step import TrainStep
from gdjax.training._supervised import Batch, LossFn
from gdjax.training._update import Report, make_update, scanned


def make_pmap_train_step(
    loss_fn: LossFn,
    tx: optax.GradientTransformation,
    *,
    devices: Sequence[jax.Device] | None = None,  # pyright: ignore
    microbatches: int = 1,
    steps_per_call: int = 1,
) -> TrainStep:
    """`make_train_step` as one program on each of several devices, under `jax.pmap`.

    It takes and returns what `make_train_step` does: a plain state and global batches,
    which it splits over the devices; gradients, metrics and the model's state are
    averaged over them. Each device folds its index into the random key, and a batch
    norm sees its device's share alone: with either, curves differ from those of
    `make_train_step(..., sharding=parallel.replicated(mesh))`, the default strategy.

    Args:
      loss_fn, tx, microbatches, steps_per_call: as in `make_train_step`; here each
        device splits its share of a batch.
      devices: those to use; by default all local ones.

    Returns:
      The step. It donates the state.

    Raises:
      ValueError: a number is out of range; from the call, a batch cannot be split
        evenly over the devices.

    Example:
      >>> model, tx = gd.models.mlp([1]), gd.sgd(0.1)
      >>> loss_fn = gd.training.supervised(model, "mse")
      >>> step = make_pmap_train_step(loss_fn, tx, devices=jax.devices()[:1])
      >>> batch = (jnp.ones((8, 3)), jnp.ones((8, 1)))
      >>> state = gd.training.init_state(model, tx, jax.random.key(0), batch[0])
      >>> int(step(state, batch)[0].step)
      1
    """
    microbatches = integer("microbatches", microbatches, 1)
    steps_per_call = integer("steps_per_call", steps_per_call, 1)
    stacked = steps_per_call > 1
    devices = jax.local_devices() if devices is None else list(devices)
    update = make_update(loss_fn, tx, axis_name="devices", microbatches=microbatches)
    # Nothing mapped in the state, neither in nor out: after the means all are equal.
    mapped = jax.pmap(
        scanned(update) if stacked else update,
        axis_name="devices",
        in_axes=(None, int(stacked)),
        out_axes=None,
        devices=devices,
        donate_argnums=0,
    )

    def split(leaf):
        shape = np.shape(leaf)
        share = shape[stacked] // len(devices)
        new_shape = (*shape[:stacked], len(devices), share, *shape[stacked + 1 :])
        return leaf.reshape(new_shape)

    everywhere = NamedSharding(Mesh(devices, "devices"), PartitionSpec())

    def run(state: TrainState, batch: Batch) -> tuple[TrainState, Report]:
        check_batch(batch, len(devices), stacked=stacked)
        # A state from elsewhere would be compiled for anew.
        if state.step.sharding != everywhere:
            state = jax.device_put(state, everywhere)
        return mapped(state, jax.tree.map(split, batch))

    return TrainStep(steps_per_call, run)
