"""One step of training as a pure function, shared by all the step builders."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax.training._health import Evidence
from gdjax.training._state import TrainState
from gdjax.training._supervised import Batch, LossFn, Metrics

# Metrics, and for debugging what the step made (None otherwise).
Report: TypeAlias = tuple[Metrics, Evidence | None]
Update: TypeAlias = Callable[[TrainState, Batch], tuple[TrainState, Report]]


def make_update(
    loss_fn: LossFn,
    tx: optax.GradientTransformation,
    *,
    axis_name: str | None = None,
    debug: bool = False,
) -> Update:
    """`(state, batch) -> (state, report)`: gradient, transformation, new parameters.

    With `axis_name` it is one device's part under `pmap`: `batch` is the device's
    share, and all that it returns is the mean over devices.
    """
    transform = optax.with_extra_args_support(tx)
    share, mean = _on_each_device(axis_name)

    def update(state: TrainState, batch: Batch) -> tuple[TrainState, Report]:
        import chex

        key = jax.random.fold_in(state.key, state.step)
        if axis_name is not None:
            key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))

        def objective(params):
            return loss_fn(share(params), state.model_state, batch, key)

        def value_fn(params):
            return mean(objective(params)[0])

        value_and_grad = jax.value_and_grad(objective, has_aux=True)
        (loss, (model_state, metrics)), grads = value_and_grad(state.params)
        loss, model_state, metrics = mean((loss, model_state, metrics))
        updates, opt_state = transform.update(
            grads,
            state.opt_state,
            state.params,
            value=loss,
            grad=grads,
            value_fn=value_fn,
            grad_fn=jax.grad(value_fn),
        )
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
