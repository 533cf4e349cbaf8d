"""What a chain measures of its updates, in a state that is fixed by `init`."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree

Measure = optax.GradientTransformation | Callable[[optax.Updates], tree.Tree]


class MonitorState(NamedTuple):
    measurements: dict[str, tree.Tree]  # of the last update; zeros before the first
    measure_states: tuple[optax.OptState, ...]

    def metrics(self) -> dict[str, jax.Array]:
        scalars = {k: x for k, x in self.measurements.items() if jnp.isscalar(x)}
        return {k: x + 0.0 if x.dtype == bool else x for k, x in scalars.items()}


def monitor(
    measures: Mapping[str, Measure],
) -> optax.GradientTransformationExtraArgs:
    """Direction or step: unchanged; measures it.

    As `optax.monitor`, whose state has no measurements before the first update, so that
    it is compiled twice and fails under `lax.scan`. Here they are zeros.

    Args:
      measures: {name: function of the updates, or a transformation that returns a
        measurement, such as `measure_with_ema(function, decay)`}.

    Returns:
      A transformation with state `MonitorState`, whose `metrics` have the measurements
      that are scalars.

    Raises:
      TypeError: `measures` is no such dict; from `init`, a parameter is not floating.

    Example:
      >>> tx = gd.chain(gd.sgd(0.1), monitor({"step_norm": gd.tree.global_norm}))
      >>> _, state = tx.update(jnp.ones(4), tx.init(jnp.ones(4)))
      >>> print(gd.metrics(state)["step_norm"])
      0.2
    """
    if not isinstance(measures, Mapping):
        raise TypeError(f"`measures` must be a dict of functions, got {measures!r}.")
    parts = {name: _part(name, measure) for name, measure in measures.items()}

    def measured(updates, states, params=None, **extra):
        rows = zip(parts.values(), states, strict=True)
        pairs = [tx.update(updates, s, params, **extra) for tx, s in rows]
        measurements = {name: x for name, (x, _) in zip(parts, pairs, strict=True)}
        return MonitorState(measurements, tuple(s for _, s in pairs))

    def init(params):
        tree.require_floating(params)
        wide = jax.tree.map(tree.widened, params)
        states = tuple(tx.init(wide) for tx in parts.values())
        shapes = jax.eval_shape(measured, wide, states, wide).measurements
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return MonitorState(zeros, states)

    def update(updates, state, params=None, **extra):
        new = measured(updates, state.measure_states, params, **extra)
        return updates, jax.tree.map(tree.stored, new, state)

    return optax.GradientTransformationExtraArgs(init, update)


def _part(name: str, measure: Measure) -> optax.GradientTransformationExtraArgs:
    if isinstance(measure, optax.GradientTransformation):
        return optax.with_extra_args_support(measure)
    if not callable(measure):
        raise TypeError(
            f"`measures[{name!r}]` must be a function of the updates or a "
            f"transformation, got {measure!r}."
        )
    return optax.with_extra_args_support(optax.stateless(lambda u, _: measure(u)))
