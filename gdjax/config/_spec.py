"""From plain JSON data to transformations and schedules."""

from collections.abc import Mapping
from typing import cast

import jax
import jax.numpy as jnp
import optax

from gdjax.config._build import Spec, build
from gdjax.config._call import MISTAKES, at
from gdjax.config._types import shown
from gdjax.schedules import constant_schedule


def optimizer_from_spec(
    spec: Spec, params: optax.Params | None = None, *, path: str = "optimizer"
) -> optax.GradientTransformationExtraArgs:
    """The transformation that JSON data describes.

        {"name": "sgd", "learning_rate": 0.1}         a call of the function `sgd`
        [spec, spec, ...]                             `chain` of what these describe
        {"groups": [["bias$", spec], ["", spec]]}     `partition_by_path` of them
        {"function": "decay_mask"}                    the function itself, not called

    Names are those of gdjax, or else of Optax. Arguments are built in the same way, so
    a schedule may stand where a number is expected, and an optimizer inside its
    wrapper. "function" is for arguments such as `mask`; the other entries of its dict
    are bound to it (`functools.partial`).

    Args:
      spec: the data. Parts of it may already be built: a schedule, an optimizer.
      params: the parameters, or their shapes and dtypes, for which `init` must succeed;
        nothing is computed. By default that is not tried.
      path: what the data is called in messages.

    Returns:
      The transformation.

    Raises:
      ValueError: a name or an argument does not exist, is missing, of a wrong type or
        refused, a number is not finite, the result is no transformation, or its `init`
        refuses `params`; with the dotted path and the nearest right name.

    Example:
      >>> clip = {"name": "clip_by_global_norm", "max_norm": 1.0}
      >>> rate = {"name": "constant_schedule", "value": 0.5}
      >>> tx = optimizer_from_spec([clip, {"name": "sgd", "learning_rate": rate}])
      >>> print(tx.update(jnp.array([3.0, 4.0]), tx.init(jnp.ones(2)))[0])
      [-0.3 -0.4]
      >>> optimizer_from_spec([clip, {"name": "sgd", "learning_rat": 0.1}])
      Traceback (most recent call last):
      ValueError: `optimizer.1.learning_rat` is no argument of `sgd`; the nearest is ...
    """
    if isinstance(spec, list) and spec:
        links = [
            optimizer_from_spec(link, params, path=f"{path}.{i}")
            for i, link in enumerate(spec)
        ]
        return optax.with_extra_args_support(optax.chain(*links))
    tx = build(spec, path=path)
    if not isinstance(tx, optax.GradientTransformation):
        raise _refusal(spec, path, "transformation")
    if params is not None:
        try:
            jax.eval_shape(tx.init, params)
        except MISTAKES as error:
            raise at(path, error, _keys(spec)) from error
    return optax.with_extra_args_support(tx)


def schedule_from_spec(spec: Spec, *, path: str = "schedule") -> optax.Schedule:
    """The schedule that JSON data describes, see `optimizer_from_spec`.

    Args:
      spec: a dict with a "name", or a number, which stays as it is at every step.
      path: what the data is called in messages.

    Returns:
      step -> value.

    Raises:
      ValueError: as `optimizer_from_spec`; or the result is no function from a step to
        a scalar.

    Example:
      >>> print(schedule_from_spec({"name": "constant_schedule", "value": 0.1})(0))
      0.1
    """
    schedule = build(spec, path=path)
    if isinstance(schedule, (int, float)) and not isinstance(schedule, bool):
        return constant_schedule(schedule)
    if not callable(schedule):
        raise _refusal(spec, path, "schedule")

    def value(step: jax.Array) -> jax.Array | None:
        value = cast(optax.Schedule, schedule)(step)
        return jnp.asarray(value) if jnp.isscalar(value) else None

    try:
        made = jax.eval_shape(value, jax.ShapeDtypeStruct((), jnp.int32))
    except MISTAKES as error:
        raise at(path, error, _keys(spec)) from error
    if made is None or not jnp.issubdtype(made.dtype, jnp.number):
        raise _refusal(spec, path, "schedule")
    return cast(optax.Schedule, schedule)


def _refusal(spec: Spec, path: str, kind: str) -> ValueError:
    """What to say of data that describes something, but nothing of this kind."""
    if not isinstance(spec, Mapping):
        allowed = {
            "transformation": 'a dict with a "name", a list of such dicts or groups',
            "schedule": 'a number or a dict with a "name"',
        }
        return ValueError(f"`{path}` must be {allowed[kind]}, got {shown(spec)}.")
    if named := [spec[key] for key in ("name", "function") if key in spec]:
        return ValueError(
            f"`{path}` must describe a {kind}, and `{named[0]}` makes none."
        )
    others = f", only {', '.join(map(repr, spec))} given" if spec else ""
    return ValueError(f"`{path}.name` is missing{others}.")


def _keys(spec: Spec) -> list[str]:
    return list(spec) if isinstance(spec, Mapping) else []
