"""What averages share: when an iterate is taken, and how an average is read."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from gdjax import tree
from gdjax._checks import Number
from gdjax._wrapping import cond, factory_name

T = TypeVar("T")


class Average(Protocol):
    """A state that keeps an average."""

    def averaged_params(self, params: optax.Params) -> optax.Params: ...


def averaged_params(
    opt_state: optax.OptState, params: optax.Params, *, name: str | None = None
) -> optax.Params:
    """The average of the iterates that is kept somewhere inside `opt_state`.

    Args:
      opt_state: the state of an optimizer with an average in it, at any depth.
      params: the current parameters: the average comes in their dtypes, and they are
        the answer before the first sample.
      name: the wrapper whose average is meant, such as "swa", where there are several.

    Returns:
      A tree like `params`: the mean of `swa`, `ema_params`, `lawa` and `snapshots`, the
      slow weights of `lookahead`, x of `schedule_free`.

    Raises:
      ValueError: there is no average (of that name) in `opt_state`, or more than one.

    Example:
      >>> tx = gd.swa(optax.sgd(0.1), start_step=0)
      >>> print(averaged_params(tx.init(jnp.ones(2)), jnp.ones(2)))
      [1. 1.]
    """
    return one_of(averages(opt_state), name).averaged_params(params)


def averages(opt_state: optax.OptState) -> Iterator[Average]:
    """All averages inside `opt_state`, the outermost first."""
    return (x for _, x in tree.nodes(opt_state) if hasattr(x, "averaged_params"))


def average_names(opt_state: optax.OptState) -> list[str]:
    """The names of the wrappers whose averages `opt_state` holds, the outermost first.

    Example:
      >>> average_names(gd.swa(gd.lookahead(gd.sgd(0.1), 5, 0.5), 9).init(jnp.ones(2)))
      ['swa', 'lookahead']
    """
    return [factory_name(x) for x in averages(opt_state)]


def one_of(
    found: Iterator[T], name: str | None, what: str = "average", wrap: str = "swa"
) -> T:
    """The only one of `found` (called `name`).

    Raises:
      ValueError: there is none, or more than one.
    """
    known = [x for x in found if name in (None, factory_name(x))]
    if len(known) == 1:
        return known[0]
    of_name = "" if name is None else f" called {name!r}"
    if not known:
        raise ValueError(
            f"`opt_state` holds no {what}{of_name}: wrap the optimizer in `{wrap}`."
        )
    raise ValueError(
        f"`opt_state` holds {len(known)} {what}s{of_name}: "
        f"{[factory_name(x) for x in known]}. Choose one by `name`."
    )


def like_params(average: optax.Params, params: optax.Params) -> optax.Params:
    """`average` in the dtypes of `params`, and those where it is absent."""
    pick = lambda p, a: p if tree.is_absent(a) else a.astype(jnp.result_type(p))
    return jax.tree.map(pick, params, average, is_leaf=tree.is_absent)


def started(
    there: jax.Array, average: optax.Params, params: optax.Params
) -> optax.Params:
    """`average` where it is `there`, else `params`, in the dtypes of `params`."""
    pick = lambda a, p: jnp.where(there, a, p)
    return like_params(tree.map_rule(pick, average, read=(params,)), params)


def wide_copy(params: optax.Params) -> optax.Params:
    """`params` in at least f32, in buffers of their own, so that both are donated."""
    add = lambda zero, p: zero + tree.widened(p)
    return jax.tree.map(add, tree.zeros_like(params), params)


def toward(average: jax.Array, x: Number, weight: Number) -> jax.Array:
    """average + weight (x - average): x itself, to rounding, where `weight` is 1."""
    return average + weight * (x - average)


def where_due(
    due: jax.Array | np.bool_,
    change: Callable[[optax.Params], optax.Params],
    old: optax.Params,
) -> optax.Params:
    """`change(old)` where `due`, else `old`, which is not even read then.

    By a branch: a select would read and write the average in every step, 8 bytes a
    parameter to AdamW's 28. Where it is due a branch costs 12, as nothing in it is
    fused with the step.
    """
    if not isinstance(due, Tracer):  # eagerly each branch would compile at every call
        return change(old) if due else old
    return cond(due, lambda: change(old), lambda: old)
