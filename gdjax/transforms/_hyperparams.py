"""Hyperparameters that live in the state of a transformation."""

import functools
import inspect
import types
import typing
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdjax import tree
from gdjax._checks import DType, Range, floating, next_count, one_of
from gdjax.transforms._lawful import lawful
from gdjax.transforms._ranges import RANGES


class InjectStatefulHyperparamsState(NamedTuple):
    count: jax.Array  # i32[], updates made
    hyperparams: dict[str, jax.Array]  # f32[] each, those of the last update
    hyperparams_states: dict[str, optax.OptState]  # of those that follow a schedule
    inner_state: optax.OptState

    def metrics(self) -> dict[str, jax.Array]:
        said = tree.metrics(self.inner_state)
        return {k: x for k, x in self.hyperparams.items() if k not in said}


def inject_hyperparams(
    inner_factory: Callable[..., optax.GradientTransformation],
    static_args: str | Iterable[str] = (),
    hyperparam_dtype: DType | None = None,
) -> Callable[..., optax.GradientTransformationExtraArgs]:
    """Direction or step: that of `inner_factory`, its floats kept in the state.

    `get_hyperparams` reads them and `set_hyperparams` sets them between two steps,
    without compiling anew. Defaults of the factory are among them. A schedule may stand
    for any of them: it sees the number of updates made, and its values are in the
    state. What is no float stays as it is: ints, bools, strings, functions that are no
    schedules, tuples. An int where a float is expected, such as a rate of 1, is one.

    They are f32, f64 under x64, whatever the parameters (Optax casts them to bf16 with
    bf16 parameters, where a b2 of 0.999 is 1). Updates have the dtypes of the
    gradients, and the state those of its start; Optax's own functions are taken in by
    `lawful`. Optax takes ints for hyperparameters too, and every function, a dtype such
    as `jnp.float32` among them, for a schedule.

    Args:
      inner_factory: a function that makes a transformation, called anew in every
        trace. It must not branch in Python on what is injected.
      static_args: names of arguments that stay as they are.
      hyperparam_dtype: of the hyperparameters, instead of f32.

    Returns:
      A function of the arguments of `inner_factory`, which makes a transformation with
      state `InjectStatefulHyperparamsState`. Its `metrics` have the hyperparameters
      that those of the inner state have not.

    Raises:
      ValueError: `static_args` has a name that is no argument of `inner_factory`; from
        the function returned, what `inner_factory` refuses.
      TypeError: `inner_factory` is no function, or makes no transformation;
        `hyperparam_dtype` is no floating dtype.

    Example:
      >>> tx = inject_hyperparams(gd.adamw)(learning_rate=0.1, b1=lambda step: 0.9)
      >>> state = tx.init(jnp.ones(2))
      >>> sorted(gd.get_hyperparams(state))
      ['b1', 'b2', 'eps', 'eps_root', 'learning_rate', 'weight_decay']
      >>> state = gd.set_hyperparams(state, learning_rate=0.01)
      >>> print(gd.get_hyperparams(state)["learning_rate"])
      0.01
    """
    if not callable(inner_factory):  # a transformation, most likely
        raise TypeError(
            "`inner_factory` must be a function that makes a transformation, such as "
            f"`gd.adamw`, got {inner_factory!r}."
        )
    signature = inspect.signature(inner_factory)
    static = {static_args} if isinstance(static_args, str) else set(static_args)
    for name in static:
        one_of("static_args", name, signature.parameters)
    dtype = floating("hyperparam_dtype", hyperparam_dtype)
    function = getattr(inner_factory, "func", inner_factory)  # of a `partial`
    is_foreign = getattr(function, "__module__", "").startswith("optax")

    @functools.wraps(inner_factory)
    def factory(*args, **kwargs) -> optax.GradientTransformationExtraArgs:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        numbers, schedules = {}, {}
        for name, value in bound.arguments.items():
            parameter = signature.parameters[name]
            if name in static:
                continue
            if _is_number(parameter, value):
                numbers[name] = value
            elif _is_schedule(parameter, value):
                stateful = hasattr(value, "init")
                schedules[name] = value if stateful else optax.WrappedSchedule(value)

        def build(hyperparams):
            arguments = {**bound.arguments, **hyperparams}
            given = inspect.BoundArguments(signature, OrderedDict(arguments))
            inner = inner_factory(*given.args, **given.kwargs)
            if not isinstance(inner, optax.GradientTransformation):
                raise TypeError(
                    f"`inner_factory` must make a transformation, got {inner!r}."
                )
            return lawful(inner) if is_foreign else optax.with_extra_args_support(inner)

        build({k: f(f.init()) for k, f in schedules.items()})  # refuses bad arguments

        def init(params):
            states = {k: f.init() for k, f in schedules.items()}
            values = numbers | {k: f(states[k]) for k, f in schedules.items()}
            values = {k: _stored(x, dtype) for k, x in values.items()}
            inner_state = build(values).init(params)
            count = jnp.zeros([], jnp.int32)
            return InjectStatefulHyperparamsState(count, values, states, inner_state)

        def update(updates, state, params=None, **extra):
            states = state.hyperparams_states
            values = state.hyperparams | {
                k: f(states[k], **extra) for k, f in schedules.items()
            }
            values = {k: _stored(x, dtype) for k, x in values.items()}
            states = {k: f.update(states[k], **extra) for k, f in schedules.items()}
            new, inner_state = build(values).update(
                updates, state.inner_state, params, **extra
            )
            # A number of f32 beside bf16 would widen what is not written for it.
            new, inner_state = jax.tree.map(
                tree.stored, (new, inner_state), (updates, state.inner_state)
            )
            return new, InjectStatefulHyperparamsState(
                next_count(state.count), values, states, inner_state
            )

        return optax.GradientTransformationExtraArgs(init, update)

    return factory


def _is_number(parameter: inspect.Parameter, value: object) -> bool:
    if isinstance(value, (jax.Array, np.ndarray, np.generic)):
        return jnp.issubdtype(value.dtype, jnp.floating)
    if isinstance(value, int) and not isinstance(value, bool):
        return _wants_float(parameter)
    return isinstance(value, float)


def _wants_float(parameter: inspect.Parameter) -> bool:
    if isinstance(parameter.default, (int, float)):
        return isinstance(parameter.default, float)
    kinds = _kinds(parameter)
    by_name = isinstance(RANGES.get(parameter.name), Range)
    return by_name or (float in kinds and int not in kinds)


def _is_schedule(parameter: inspect.Parameter, value: object) -> bool:
    """Whether it makes a number of a count, where a number may stand."""
    kinds = _kinds(parameter)
    if not callable(value) or isinstance(value, type):  # such as a dtype
        return False
    if hasattr(value, "init") and hasattr(value, "update"):
        return True
    if float not in kinds and not any(x is parameter.empty for x in kinds):
        return False
    try:
        made = jax.eval_shape(value, jax.ShapeDtypeStruct((), jnp.int32))
    except Exception:  # a function of something else
        return False
    is_scalar = getattr(made, "shape", None) == ()
    return is_scalar and jnp.isdtype(made.dtype, ("real floating", "integral"))


def _kinds(parameter: inspect.Parameter) -> tuple[object, ...]:
    """The types that an annotation allows."""
    hint = parameter.annotation
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if union else (hint,)


def _stored(value: jax.typing.ArrayLike, dtype: DType | None) -> jax.Array:
    """A buffer of its own, not weakly typed, in at least f32."""
    kind = jnp.result_type(value)
    kind = kind if jnp.issubdtype(kind, jnp.floating) else jnp.result_type(float)
    return jnp.array(value, dtype or jnp.promote_types(kind, jnp.float32))
