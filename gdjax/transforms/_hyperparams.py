"""Hyperparameters that live in the state of a transformation."""

import functools
import inspect
import types
import typing
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdjax import tree
from gdjax._checks import DType, floating, listed, next_count, one_of
from gdjax.transforms._lawful import lawful
from gdjax.transforms._ranges import BY_NAME


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
    What `**kwargs` take is injected too, by its own name.

    They are f32, f64 under x64, whatever the parameters (Optax casts them to bf16 with
    bf16 parameters, where a b2 of 0.999 is 1). An update has the dtype of its
    gradient, or that of its parameter where it is made so (`proximal_l1` reaches exact
    zeros only then), and the state those of its start; Optax's own functions are taken
    in by `lawful`. Optax takes ints for hyperparameters too, and every function, a
    dtype such as `jnp.float32` among them, for a schedule.

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
        `static_args` is no list; `hyperparam_dtype` is no floating dtype; from the
        function returned, a number or a schedule among `*args`, which has no name.

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
    signature = _signature(inner_factory)
    known = signature.parameters
    rest = next((k for k, x in known.items() if x.kind is x.VAR_KEYWORD), None)
    is_one = isinstance(static_args, str)
    static = [static_args] if is_one else listed("static_args", static_args)
    for name in static:
        if rest is None or not isinstance(name, str):
            one_of("static_args", name, known)
    dtype = floating("hyperparam_dtype", hyperparam_dtype)
    function = getattr(inner_factory, "func", inner_factory)  # of a `partial`
    is_foreign = getattr(function, "__module__", "").startswith("optax")

    @functools.wraps(inner_factory)
    def factory(*args, **kwargs) -> optax.GradientTransformationExtraArgs:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        numbers, schedules = {}, {}
        for parameter, value in _each(bound, static):
            name = parameter.name
            if _is_number(parameter, value):
                numbers[name] = value
            elif _is_schedule(parameter, value):
                stateful = hasattr(value, "init")
                schedules[name] = value if stateful else optax.WrappedSchedule(value)

        def build(hyperparams):
            arguments = {k: hyperparams.get(k, x) for k, x in bound.arguments.items()}
            if rest is not None:
                more = bound.arguments[rest]
                arguments[rest] = {k: hyperparams.get(k, x) for k, x in more.items()}
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
            inner_state = jax.tree.map(tree.stored, inner_state, state.inner_state)
            return _fitted(new, updates, params), InjectStatefulHyperparamsState(
                next_count(state.count), values, states, inner_state
            )

        return optax.GradientTransformationExtraArgs(init, update)

    return factory


def _signature(function: Callable[..., object]) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except Exception:  # whatever a hint that is a string raises, such as NameError
        return inspect.signature(function)


def _each(
    bound: inspect.BoundArguments, static: list[str]
) -> Iterator[tuple[inspect.Parameter, Any]]:
    """The arguments that may be injected, those of `**kwargs` one by one."""
    known = bound.signature.parameters
    for name, value in bound.arguments.items():
        parameter = known[name]
        if name in static:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            for x in value:
                if _is_number(parameter, x) or _is_schedule(parameter, x):
                    raise TypeError(
                        f"`*{name}` must hold nothing to inject, as it has no name, "
                        f"got {x!r}; `static_args={name!r}` leaves all of it as it is."
                    )
        elif parameter.kind is parameter.VAR_KEYWORD:
            for key, x in value.items():
                if key in known and key != name:
                    raise TypeError(f"`{key}` must be given once, got {x!r} as well.")
                if key not in static:
                    yield parameter.replace(name=key, kind=parameter.KEYWORD_ONLY), x
        else:
            yield parameter, value


def _fitted(
    new: optax.Updates, grads: optax.Updates, params: optax.Params | None
) -> optax.Updates:
    """Updates in their gradient's dtype, or in their parameter's where made so."""
    dtypes = lambda x: [jnp.result_type(leaf) for leaf in jax.tree.leaves(x)]
    beside = grads if params is None or dtypes(new) == dtypes(grads) else params

    def fitted(u, g, p):
        if tree.is_absent(u):
            return u
        is_like_p = not tree.is_absent(p) and jnp.result_type(u) == jnp.result_type(p)
        return tree.stored(u, p if is_like_p else g)

    return jax.tree.map(fitted, new, grads, beside, is_leaf=tree.is_absent)


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
    if int in kinds and float not in kinds:
        return False
    return parameter.name in BY_NAME or (float in kinds and int not in kinds)


def _is_schedule(parameter: inspect.Parameter, value: object) -> bool:
    """Whether it makes a number of a count, where a number may stand."""
    kinds = _kinds(parameter)
    if not callable(value) or isinstance(value, type):  # such as a dtype
        return False
    if hasattr(value, "init") and hasattr(value, "update"):
        return True
    if {float, jax.Array, Any}.isdisjoint(kinds):
        return False
    try:
        made = jax.eval_shape(value, jax.ShapeDtypeStruct((), jnp.int32))
    except Exception:  # a function of something else
        return False
    is_scalar = getattr(made, "shape", None) == ()
    return is_scalar and jnp.isdtype(made.dtype, ("real floating", "integral"))


def _kinds(parameter: inspect.Parameter) -> tuple[object, ...]:
    """The types that an annotation allows; `Any` where it says nothing."""
    hint = parameter.annotation
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = typing.get_args(hint) if union else (hint,)
    silent = lambda x: (
        x in (parameter.empty, object) or isinstance(x, (str, typing.ForwardRef))
    )
    return tuple(Any if silent(x) else x for x in kinds)


def _stored(value: jax.typing.ArrayLike, dtype: DType | None) -> jax.Array:
    """A buffer of its own, not weakly typed, in at least f32."""
    kind = jnp.result_type(value)
    kind = kind if jnp.issubdtype(kind, jnp.floating) else jnp.result_type(float)
    return jnp.array(value, dtype or jnp.promote_types(kind, jnp.float32))
