"""What wrappers share: the kind and place of what they wrap, and when it runs."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from gdjax import tree

T = TypeVar("T")


def require_transformation(
    wrapper: str, inner: optax.GradientTransformation, argument: str = "inner"
) -> optax.GradientTransformationExtraArgs:
    """`inner`, which `wrapper` calls `argument`, for a wrapper of either kind.

    Raises:
      TypeError: it is no transformation.
    """
    if not isinstance(inner, optax.GradientTransformation):
        raise TypeError(
            f"`{argument}` of `{wrapper}` must be a gradient transformation, got "
            f"{inner!r}."
        )
    return optax.with_extra_args_support(inner)


def require_direction(
    wrapper: str, inner: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """`inner`, which must not be a finished optimizer, for a wrapper of directions.

    Raises:
      TypeError: it is no transformation.
      ValueError: it steps against the gradient.
    """
    if sign_of(wrapper, inner) == -1:
        raise ValueError(
            f"`{wrapper}` wraps a direction, and `inner` is a step, learning rate "
            f"included: `chain({wrapper}(direction), scale_by_learning_rate(...))`."
        )
    return optax.with_extra_args_support(inner)


def require_step(
    wrapper: str, inner: optax.GradientTransformation, argument: str = "inner"
) -> optax.GradientTransformationExtraArgs:
    """`inner`, which must not be a bare direction, for a wrapper of optimizers.

    Raises:
      TypeError: it is no transformation.
      ValueError: it points along the gradient.
    """
    inner = require_transformation(wrapper, inner, argument)
    if sign_of(wrapper, inner) == 1:
        raise ValueError(
            f"`{wrapper}` wraps a step, and `{argument}` is a direction, which climbs: "
            f"`{wrapper}(chain(direction, scale_by_learning_rate(...)))`."
        )
    return inner


def sign_of(wrapper: str, inner: optax.GradientTransformation) -> int | None:
    """1 for a direction, -1 for a step, `None` where it cannot be told.

    By how the updates of the scalar 0 for the gradients 1 and -1 differ, so that decay,
    noise and constraints cancel; the second where the first are equal, as under a
    warm-up from 0. Nothing is told of an `inner` that depends on traced numbers, needs
    more than a train step hands it, or has another tree of parameters.
    """
    tx = require_transformation(wrapper, inner)
    try:
        with jax.ensure_compile_time_eval():
            up, down = _updates(tx, 1.0), _updates(tx, -1.0)
            for along, against in zip(up, down, strict=True):
                difference = along - against
                if isinstance(difference, Tracer):
                    return None
                if np.isfinite(difference) and difference != 0:
                    return int(np.sign(difference))
    except Exception:  # it will be raised, and understood, where `inner` is used
        return None
    return None


def _updates(
    tx: optax.GradientTransformationExtraArgs, gradient: float
) -> Iterator[jax.Array]:
    """The first two updates for one gradient at 0, the slope there of a parabola."""
    zero, g = jnp.float32(0), jnp.float32(gradient)
    extra = {"value": g * g / 2, "grad": g, "grad_fn": lambda p: p + g}
    state = tx.init(zero)
    for _ in range(2):  # without `value_fn`: a line search compiles for seconds
        u, state = tx.update(g, state, zero, **extra)
        yield jnp.asarray(u)


_STEP = {
    "guard": "a skipped step would change parameters",
    "accumulate": "a part of a step would change parameters",
}
_STEP |= {"apply_if_finite": _STEP["guard"], "multi_steps": _STEP["accumulate"]}
_COUNT = {
    k: why.replace("change parameters", "count in the average")
    for k, why in _STEP.items()
}
_MEAN = dict.fromkeys(
    ("swa", "ema_params", "lawa", "snapshots"),
    "it would average iterates that are none",
)
_AVERAGE = {**_MEAN, "lookahead": "its slow weights would not follow"}
_FREE = {"schedule_free": "its average would not follow"}
_SET = {"project": "its constraint would be left again"}
_ZEROS = {"proximal_l1": "its zeros would move again"}
_FAST = {"lookahead": "its slow weights are not where the steps start"}
# {wrapper: {what must not be inside: what goes wrong}}
_AROUND = {
    "accumulate": {"sam": "it would see the loss of the last part alone"},
    "independent_decay": {**_STEP, **_AVERAGE, **_FREE, **_SET, **_ZEROS},
    "layerwise_decay": {**_AVERAGE, **_FREE, **_SET, **_ZEROS},
    "project": {**_AVERAGE, **_FREE},
    "proximal_l1": {**_STEP, **_AVERAGE, **_FREE, **_SET},
    **dict.fromkeys(_MEAN, _COUNT),
    "lookahead": {**_COUNT, **_MEAN, **_FREE, **_FAST},
    "schedule_free": {**_COUNT, **_MEAN, **_FREE, **_SET, **_ZEROS, **_FAST},
}


def ordered(wrapper: str, inner_state: optax.OptState) -> optax.OptState:
    """`inner_state`, in which nothing may be that belongs around `wrapper`.

    Raises:
      ValueError: with the right order.
    """
    around = _AROUND.get(wrapper, {})
    for _, node in tree.nodes(inner_state):
        name = factory_name(node)
        if why := around.get(name):
            neither = wrapper in _AROUND.get(name, {})
            name = {"multi_steps": "MultiSteps"}.get(name, name)
            write = f"Write `{name}({wrapper}(optimizer))`."
            raise ValueError(
                f"`{wrapper}` around `{name}`: {why}. "
                f"{'Neither order is right.' if neither else write}"
            )
    return inner_state


def factory_name(state: object) -> str:
    """SwaState -> swa, the function that made it."""
    stem = type(state).__name__.removesuffix("State")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in stem).lstrip("_")


def cond(pred: jax.Array, yes: Callable[[], T], no: Callable[[], T]) -> T:
    """`lax.cond` that is right inside `shard_map` too.

    There both results must vary over the same axes of the mesh, and a zero or an old
    state varies over none: what does not vary is cast.
    """
    if not jax.sharding.get_abstract_mesh().manual_axes:
        return jax.lax.cond(pred, yes, no)
    union = lambda a, b: _varying(a) | _varying(b)
    axes = jax.tree.map(union, jax.eval_shape(yes), jax.eval_shape(no))

    def cast(x, axes):
        missing = tuple(axes - _varying(jax.typeof(x)))
        return jax.lax.pcast(x, missing, to="varying") if missing else x

    alike = lambda branch: lambda: jax.tree.map(cast, branch(), axes)
    return jax.lax.cond(pred, alike(yes), alike(no))


def _varying(kind) -> frozenset[str]:
    """The axes of the mesh over which an abstract array varies."""
    manual = getattr(kind, "manual_axis_type", None)
    return manual.varying if manual else getattr(kind, "vma", None) or frozenset()
