"""An optimizer from one function: the lift made public."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax._checks import next_count


class FromRuleState(NamedTuple):
    count: jax.Array  # i32[], updates made
    slots: dict[str, optax.Params]  # by name, each what its function made


def from_rule(
    rule: Callable[..., jax.Array | tuple[jax.Array, ...]],
    **slots: Callable[[jax.Array], jax.Array],
) -> optax.GradientTransformationExtraArgs:
    """Direction from a rule that is written for one array.

        direction, *slots = rule(g, p, step, *slots)

    is applied to every leaf: g is its gradient, p its parameter, `step` an int32 scalar
    that counts from 1, the slots are what the rule keeps from step to step. Keep the
    gradient's sign: `scale_by_learning_rate` turns a direction into a step. Numbers in
    the rule's closure may be traced.

    f16 and bf16 leaves reach the rule as f32, f32, f64 and complex ones as they are.
    A direction is stored in the gradient's dtype, a slot in its own; `None` and masked
    leaves are skipped.

    Args:
      rule: pure, for arrays of one shape. Without slots it may return a lone array.
        p is `None` where `update` is called without parameters.
      **slots: name = function that makes the slot from a parameter (in f32 at least),
        in the order in which the rule takes them; `jnp.zeros_like` for a moment.

    Returns:
      A transformation with state `FromRuleState(count, slots)`.

    Raises:
      TypeError: the rule or a slot is no function; from `init`, a parameter is not
        floating.
      ValueError: at trace time, gradient, parameter and state differ in shape, or the
        rule returned too few or too many arrays.

    Example:
      >>> def heavy_ball(g, p, step, velocity):
      ...     velocity = 0.9 * velocity + g
      ...     return velocity, velocity
      >>> tx = from_rule(heavy_ball, velocity=jnp.zeros_like)
      >>> params = {"w": jnp.ones(2)}
      >>> _, state = tx.update(params, tx.init(params), params)
      >>> print(tx.update(params, state, params)[0]["w"])
      [1.9 1.9]
    """
    if not callable(rule):
        raise TypeError(f"`rule` must be a function of arrays, got {rule!r}.")
    for name, make in slots.items():
        if not callable(make):
            raise TypeError(
                f"slot `{name}` must be a function of a parameter such as "
                f"`jnp.zeros_like`, got {make!r}."
            )

    def init(params):
        tree.require_floating(params)

        def fill(make):
            def slot(p):
                made = make(jnp.asarray(p, tree.compute_dtype(jnp.result_type(p))))
                # A copy, as `make` may return the parameter; not weakly typed.
                return jnp.array(made, made.dtype)

            return jax.tree.map(slot, params)

        filled = {name: fill(make) for name, make in slots.items()}
        return FromRuleState(jnp.zeros([], jnp.int32), filled)

    def update(updates, state, params=None, **extra):
        count = next_count(state.count)

        def lifted(g, *leaves):
            *kept, p = leaves if params is not None else (*leaves, None)
            new = rule(g, p, count, *kept)
            new = new if isinstance(new, tuple) else (new,)
            if len(new) != 1 + len(slots):
                raise ValueError(
                    f"the rule must return {1 + len(slots)} arrays, the direction and "
                    f"each of the slots {list(slots)}, got {len(new)}."
                )
            return new

        new = tree.map_rule(
            lifted,
            updates,
            *[state.slots[name] for name in slots],  # a dict comes back sorted
            read=() if params is None else (params,),
            names=("g", *slots, "p"),
        )
        direction, *kept = new if slots else (new,)
        return direction, FromRuleState(count, dict(zip(slots, kept, strict=True)))

    return optax.GradientTransformationExtraArgs(init, update)
