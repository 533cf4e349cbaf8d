"""One step of training as a pure function, shared by all the step builders."""

import functools
from collections.abc import Callable, Mapping
from typing import TypeAlias

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax.training._health import Evidence
from gdjax.training._state import TrainState
from gdjax.training._supervised import Batch, LossFn, Metrics
from gdjax.transforms import GuardState

# Metrics, and for debugging what the step made (None otherwise).
Report: TypeAlias = tuple[Metrics, Evidence | None]
Update: TypeAlias = Callable[[TrainState, Batch], tuple[TrainState, Report]]


def make_update(
    loss_fn: LossFn,
    tx: optax.GradientTransformation,
    *,
    axis_name: str | None = None,
    microbatches: int = 1,
    num_devices: int = 1,
    debug: bool = False,
) -> Update:
    """`(state, batch) -> (state, report)`: gradient, transformation, new parameters.

    With `axis_name` it is one device's part under `pmap`: `batch` is the device's
    share, and all that it returns is the mean over devices. `num_devices` is over how
    many the batch that it sees is split.
    """
    transform = optax.with_extra_args_support(tx)
    share, mean = _on_each_device(axis_name)

    def update(state: TrainState, batch: Batch) -> tuple[TrainState, Report]:
        import chex

        key = jax.random.fold_in(state.key, state.step)
        if axis_name is not None:
            key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))

        def objective(params, model_state, part, key):
            loss, (model_state, metrics) = loss_fn(
                share(params), model_state, part, key
            )
            return loss, ((loss, metrics), model_state)

        def on_batch(of_part, params):
            if microbatches == 1:
                return of_part(params, state.model_state, batch, key)
            parts = _split(batch, microbatches, num_devices)
            return _over_parts(of_part, params, state.model_state, parts, key)

        def value_fn(params):
            return mean(on_batch(lambda *of: objective(*of)[1], params)[0][0])

        def gradient(*of):
            grads, (said, model_state) = jax.grad(objective, has_aux=True)(*of)
            return (grads, *said), model_state

        (grads, *said), model_state = on_batch(gradient, state.params)
        loss, metrics, model_state = mean((*said, model_state))
        updates, opt_state = transform.update(
            grads,
            state.opt_state,
            state.params,
            value=loss,
            grad=grads,
            value_fn=value_fn,
            grad_fn=lambda params: on_batch(gradient, params)[0][0],
        )
        skips = zip(_skips(state.opt_state), _skips(opt_state), strict=True)
        if changed := [before != after for before, after in skips]:
            # What a guard skips leaves no trace, nor does what it cannot see.
            numbers = jax.tree.leaves(model_state)
            floats = [x for x in numbers if jnp.issubdtype(x.dtype, jnp.inexact)]
            finite = [jnp.all(jnp.isfinite(x)) for x in floats]
            good = jnp.all(jnp.array(finite)) & ~jnp.any(jnp.array(changed))
            keep = functools.partial(jnp.where, good)
            model_state = jax.tree.map(keep, model_state, state.model_state)
        params = optax.apply_updates(state.params, updates)
        new = TrainState(state.step + 1, params, model_state, opt_state, state.key)
        chex.assert_trees_all_equal_shapes_and_dtypes(state, new)
        metrics = _merge(
            {
                "the loss function": {"loss": loss, **metrics},
                "the train step": {"grad_norm": tree.global_norm(grads)},
                "the optimizer": tree.metrics(opt_state),
            }
        )
        return new, (metrics, Evidence(grads, updates, new) if debug else None)

    return update


def _skips(opt_state: optax.OptState) -> list[jax.Array]:
    """How many steps each guard in an optimizer has skipped."""
    guards = (x for _, x in tree.nodes(opt_state) if isinstance(x, GuardState))
    return [guard.num_skipped for guard in guards]


def _split(batch: Batch, microbatches: int, num_devices: int) -> Batch:
    """The parts of a batch along a new first axis, each spread as the batch is."""

    def split(leaf):
        size = leaf.shape[0] if leaf.ndim else 0
        if not size or size % (microbatches * num_devices):
            devices = f" on {num_devices} devices" if num_devices > 1 else ""
            raise ValueError(
                f"the batch size must be a multiple of `microbatches`, got "
                f"{size or 'a scalar'} for {microbatches} microbatches{devices}."
            )
        # Of each device's examples some to every part, so that none has to move.
        parts = leaf.reshape(num_devices, microbatches, -1, *leaf.shape[1:])
        parts = jnp.swapaxes(parts, 0, 1)
        return parts.reshape(microbatches, -1, *leaf.shape[1:])

    return jax.tree.map(split, batch)


def _over_parts(
    of_part: Callable, params: optax.Params, model_state, parts: Batch, key: jax.Array
):
    """The mean of what `of_part` makes of each part, summed in at least f32.

    `of_part(params, model_state, part, key) -> (made, model_state)`: the model's state
    goes from part to part, each has a key of its own.
    """
    first = jax.tree.map(lambda x: x[0], parts)
    shapes, _ = jax.eval_shape(of_part, params, model_state, first, key)
    wide = lambda x: tree.compute_dtype(jnp.result_type(x.dtype))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, wide(x)), shapes)
    num_parts = len(jax.tree.leaves(parts)[0])

    def add(carry, numbered):
        total, model_state = carry
        number, part = numbered
        part_key = jax.random.fold_in(key, number)
        made, model_state = of_part(params, model_state, part, part_key)
        return (jax.tree.map(jnp.add, total, made), model_state), None

    numbered = jnp.arange(num_parts), parts
    (total, model_state), _ = jax.lax.scan(add, (zeros, model_state), numbered)

    def mean(total, like):
        inexact = jnp.issubdtype(like.dtype, jnp.inexact)
        return (total / num_parts).astype(like.dtype if inexact else total.dtype)

    return jax.tree.map(mean, total, shapes), model_state


def scanned(update: Update) -> Update:
    """`update` for batches stacked along a new first axis; reports are stacked too."""
    return lambda state, batches: jax.lax.scan(update, state, batches)


def _on_each_device(axis_name: str | None) -> tuple[Callable, Callable]:
    """`share`, through which the loss reads parameters, and the `mean` over devices.

    `share` is the identity whose gradient is the mean over devices, so that whoever
    differentiates the loss, a line search as well, gets that of the whole batch.
    """
    if axis_name is None:
        return (lambda params: params), (lambda values: values)

    def mean(values):
        def of(x):  # counters and keys are the same everywhere
            inexact = jnp.issubdtype(jnp.result_type(x), jnp.inexact)
            return jax.lax.pmean(x, axis_name) if inexact else x

        return jax.tree.map(of, values)

    share = jax.custom_vjp(lambda params: params)
    share.defvjp(lambda params: (params, None), lambda _, grads: (mean(grads),))
    return share, mean


def _merge(sources: Mapping[str, Metrics]) -> Metrics:
    merged, origin = {}, {}
    for source, metrics in sources.items():
        for name, value in metrics.items():
            if name in merged:
                raise ValueError(
                    f"metric `{name}` comes from {origin[name]} and from {source}: "
                    "rename one of them."
                )
            if jnp.ndim(value):
                raise ValueError(
                    f"metric `{name}` must be a scalar, got shape {jnp.shape(value)}."
                )
            merged[name], origin[name] = jnp.asarray(value), source
    return merged
