"""Anybody's transformation, with the promises that those of gdjax keep."""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, overload

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.tree_util import tree_flatten_with_path, tree_map_with_path

from gdjax import tree
from gdjax.transforms._ranges import checked
from gdjax.transforms._shown import Shown

P = ParamSpec("P")
_KINDS = {1: "Direction", -1: "Step"}
_PROMISE = """
Optax's own function, by `lawful`: it computes, and keeps its state, in at least f32,
checks its arguments and the shapes of gradients, skips `None` gradients, and lets
unknown arguments of `update` pass.
"""


@overload
def lawful(
    inner: optax.GradientTransformation,
    *,
    sign: int | None = None,
    real_only: bool = False,
    scalars: bool = True,
) -> optax.GradientTransformationExtraArgs: ...
@overload
def lawful(
    inner: Callable[P, optax.GradientTransformation],
    *,
    sign: int | None = None,
    real_only: bool = False,
    scalars: bool = True,
) -> Callable[P, optax.GradientTransformationExtraArgs]: ...
def lawful(
    inner: Any,
    *,
    sign: int | None = None,
    real_only: bool = False,
    scalars: bool = True,
) -> Any:
    """Direction or step: what `inner` is, with the promises that those of gdjax keep.

    Its state and arithmetic are at least f32, also for f16 and bf16, and the state has
    the structure, dtypes and shardings of its start; an update comes in the dtype of
    its gradient. A gradient of another shape than its parameter is an error that names
    it. `None` gradients and empty arrays are not shown to `inner`: they keep their
    state, which is found by their paths. `update` takes any further arguments;
    `value_fn` gets those that it knows and parameters in their own dtypes, so that line
    searches work in a train step.

    Args:
      inner: a transformation, or a factory of one. A factory's arguments are also
        checked by name, such as `learning_rate`, `b1`, `eps` or `weight_decay`.
      sign: 1 (a direction) or -1 (a step): said in the docstring of a new factory.
      real_only: refuse complex parameters: for a rule that squares gradients.
      scalars: False shows scalars to `inner` as vectors of one number.

    Returns:
      A transformation with the state of `inner`; of a factory, a factory with its
      signature.

    Raises:
      TypeError: `inner` is neither; from `init`, a parameter is not floating, or
        complex where that is refused.
      ValueError: from the factory, an argument is out of its range; from `update`,
        gradients differ from parameters in structure or shape.

    Example:
      >>> tx = lawful(optax.rmsprop)(0.1, decay=0.8)
      >>> p = jnp.ones(2, jnp.bfloat16)
      >>> u, state = tx.update(jnp.zeros_like(p), tx.init(p), p)
      >>> print(u, state[0].nu.dtype)
      [-0 -0] float32
      >>> lawful(optax.rmsprop)(float("nan"))
      Traceback (most recent call last):
      ValueError: `learning_rate` must be finite and >= 0, got nan.
    """
    if sign not in (None, *_KINDS):
        raise ValueError(f"`sign` must be 1 (a direction), -1 (a step), got {sign!r}.")
    if isinstance(inner, optax.GradientTransformation):
        return _kept(optax.with_extra_args_support(inner), real_only, scalars)
    if not callable(inner):
        raise TypeError(
            f"`inner` must be a transformation or a factory of one, got {inner!r}."
        )
    signature, name = inspect.signature(inner), getattr(inner, "__name__", "")

    @functools.wraps(inner)
    def factory(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        for key, value in bound.arguments.items():
            parameter = signature.parameters[key]
            if parameter.kind is parameter.VAR_KEYWORD:
                bound.arguments[key] = {
                    k: checked(name, k, x) for k, x in value.items()
                }
            elif parameter.kind is not parameter.VAR_POSITIONAL:
                bound.arguments[key] = checked(name, key, value, parameter)
        made = inner(*bound.args, **bound.kwargs)
        if not isinstance(made, optax.GradientTransformation):
            raise TypeError(f"`inner` must make a transformation, got {made!r}.")
        return _kept(optax.with_extra_args_support(made), real_only, scalars)

    # Where the result will have its name, as `namedtuple` does it: for pickle.
    factory.__module__ = sys._getframe(1).f_globals.get("__name__", "")
    if sign is not None:
        first, _, rest = (inspect.getdoc(inner) or "").partition("\n")
        factory.__doc__ = f"{_KINDS[sign]}: {first}\n{_PROMISE}{rest}"
    return factory


def _kept(
    inner: optax.GradientTransformationExtraArgs, real_only: bool, scalars: bool
) -> optax.GradientTransformationExtraArgs:
    see = tree.widened if scalars else lambda x: jnp.atleast_1d(tree.widened(x))

    def init(params):
        params = jax.tree.map(_concrete, params)
        tree.require_floating(params)
        if real_only:
            _require_real(params)
        shown = jax.tree.map(lambda p: p if np.size(p) else optax.MaskedNode(), params)
        owners = dict(tree_flatten_with_path(shown)[0])
        state = inner.init(jax.tree.map(see, shown))
        return tree_map_with_path(lambda path, x: _settled(path, x, owners), state)

    def update(updates, state, params=None, **extra):
        shown = Shown(updates, params, see)
        if shown.is_nothing:
            return updates, state
        whole = lambda p: shown.put(p, params)
        # What is None is as good as not given.
        extra = {name: x for name, x in extra.items() if x is not None}
        if "value" in extra:
            extra["value"] = tree.widened(extra["value"])
        if "grad" in extra:
            extra["grad"] = shown.of(extra["grad"])
        if "grad_fn" in extra:
            grad_fn = extra["grad_fn"]
            extra["grad_fn"] = lambda p: shown.of(grad_fn(whole(p)))
        if "value_fn" in extra:
            extra["value_fn"] = _value_fn(extra, whole)
        seen = None if params is None else shown.of(params)
        out, new = inner.update(shown.of(updates), shown.of_state(state), seen, **extra)
        return shown.put(out, updates), shown.put_state(new, state)

    return optax.GradientTransformationExtraArgs(init, update)


def _concrete(p):
    """A parameter, of which Optax may be told but shape and dtype."""
    abstract = isinstance(p, jax.ShapeDtypeStruct)
    return jnp.zeros(p.shape, p.dtype, device=p.sharding) if abstract else p


def _settled(path, leaf, owners):
    """A leaf of the state: a buffer of its own, placed like its parameter."""
    leaf = jnp.array(leaf, jnp.asarray(leaf).dtype)
    tails = (path[i:] for i in range(len(path) + 1))
    owner = next((owners[tail] for tail in tails if tail in owners), leaf)
    if np.shape(owner) != leaf.shape or isinstance(leaf, Tracer):
        return leaf
    place = getattr(owner, "sharding", leaf.sharding)
    # Only where it has to: what is put somewhere is bound to it, and compiled for anew.
    return leaf if leaf.sharding == place else jax.device_put(leaf, place)


def _value_fn(extra, whole):
    """`value_fn` for line searches, which refuse arguments that it does not name."""
    given = extra["value_fn"]
    known = inspect.signature(given).parameters

    def value_fn(params, **arguments):
        taken = {k: x for k, x in arguments.items() if k in known}
        return tree.widened(given(whole(params), **taken))

    kinds = inspect.Parameter
    names = [kinds(k, kinds.KEYWORD_ONLY) for k in extra if k != "params"]
    first = kinds("params", kinds.POSITIONAL_OR_KEYWORD)
    vars(value_fn)["__signature__"] = inspect.Signature([first, *names])
    return value_fn


def _require_real(params):
    for path, leaf in tree.named_leaves(params).items():
        if not tree.is_absent(leaf) and jnp.iscomplexobj(leaf):
            raise TypeError(
                f"this rule has no meaning for complex parameters, leaf `{path}` is "
                f"{jnp.result_type(leaf)}."
            )
