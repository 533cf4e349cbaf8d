"""Derivatives of a loss held against each other, to see that its gradient is right."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdjax._checks import POSITIVE, number
from gdjax.tree import Tree, is_absent, named_leaves, require_floating

_STEPS = np.array([1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7])  # times the leaf's size
_DIRECTIONS = 2  # drawn for each leaf
_ROUNDING = 1e-14  # of the loss: of its differences, over the largest step


def check_gradients(
    loss: Callable[[optax.Params, Tree], jax.Array],
    params: optax.Params,
    batch: Tree,
    *,
    rtol: float = 1e-6,
) -> dict[str, float]:
    """Compares the gradient of a loss with two derivatives of other kinds, in f64.

        <grad, v>  =  (8 (L(h) - L(-h)) - (L(2h) - L(-2h))) / 12 h + O(h^4),
                      L(h) = loss(params + h v)
        <grad, v>  =  the derivative along v in forward mode

    for random v on one leaf at a time. Of steps h from 1e-2 to 1e-7 times the leaf's
    root mean square the best counts: a large one leaves the neighbourhood, or steps
    over the kink of a ReLU, and a small one drowns in rounding, but a wrong gradient is
    wrong for all of them.

    Parameters and the floats of the batch are cast to f64, and so must the loss be. The
    comparison with forward mode is left out where a `custom_vjp` has none.

    Args:
      loss: `(params, batch) -> scalar`, deterministic.
      params: a tree of real floating arrays.
      batch: a tree of arrays.
      rtol: how far two derivatives may be apart, relative to |grad of the leaf| |v|;
        finite, > 0.

    Returns:
      The largest relative error by leaf; 0 where the gradient is 0.

    Raises:
      AssertionError: a gradient is wrong: the first leaf of which it is, and both
        derivatives.
      TypeError: a parameter is no real floating array.
      ValueError: the loss is no f64 scalar, or not finite.

    Example:
      >>> loss = lambda params, x: jnp.sum(jnp.tanh(params["w"] * x))
      >>> errors = check_gradients(loss, {"w": jnp.ones(3)}, jnp.arange(3.0))
      >>> errors["w"] < 1e-9
      True

    Reference: Abramowitz and Stegun (1964), 25.3.21 (the differences).
    """
    rtol = float(number("rtol", rtol, POSITIVE))
    require_floating(params)
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        params, batch = jax.tree.map(_to_f64, (params, batch))
        value, grads = _value_and_grad(loss, params, batch)
        names = [path for path, x in named_leaves(params).items() if not is_absent(x)]
        leaves, treedef = jax.tree.flatten(params)
        kinds = _kinds(loss, params, batch)
        errors = dict.fromkeys(names, 0.0)
        for i, grad in enumerate(jax.tree.leaves(grads)):
            size = float(np.sqrt(np.mean(np.square(leaves[i])))) if grad.size else 0.0
            steps = _STEPS * (size or 1.0)
            rounding = _ROUNDING * abs(value) / steps[0]
            for _ in range(_DIRECTIONS if grad.size else 0):
                direction = [np.zeros(x.shape) for x in leaves]
                direction[i] = rng.normal(size=grad.shape)
                reverse = float(np.sum(grad * direction[i]))
                scale = float(np.linalg.norm(grad) * np.linalg.norm(direction[i]))
                for kind, derivatives in kinds.items():
                    found = derivatives(treedef.unflatten(direction), steps)
                    apart = np.abs(np.asarray(found) - reverse)
                    best = int(np.argmin(np.where(np.isnan(apart), np.inf, apart)))
                    if not apart[best] <= rtol * scale + rounding:
                        raise AssertionError(
                            f"the gradient of leaf `{names[i]}` is wrong: along a "
                            f"random direction it is {reverse:.9g} in reverse mode, "
                            f"{found[best]:.9g} {kind}."
                        )
                    if scale:
                        error = float(apart[best]) / scale
                        errors[names[i]] = max(errors[names[i]], error)
        return errors


def _to_f64(leaf: jax.typing.ArrayLike) -> jax.typing.ArrayLike:
    floating = jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
    return jnp.asarray(leaf, jnp.float64) if floating else leaf


def _value_and_grad(
    loss: Callable, params: optax.Params, batch: Tree
) -> tuple[float, optax.Updates]:
    for path, leaf in named_leaves(params).items():
        if not is_absent(leaf) and jnp.iscomplexobj(leaf):
            raise TypeError(f"`params` must be real, leaf `{path}` is {leaf.dtype}.")
    returned = jax.eval_shape(loss, params, batch)
    if returned.shape != () or returned.dtype != jnp.float64:
        raise ValueError(
            "`loss` must return an f64 scalar where it is given f64, got "
            f"{returned.dtype} of shape {returned.shape}."
        )
    value, grads = jax.jit(jax.value_and_grad(loss))(params, batch)
    if not np.isfinite(value):
        raise ValueError(f"`loss` must be finite at `params`, got {value}.")
    return float(value), jax.tree.map(np.asarray, grads)


def _kinds(loss: Callable, params: optax.Params, batch: Tree) -> dict[str, Callable]:
    """Functions (v, steps h) -> derivatives along v, by the words that name them."""

    @jax.jit
    def differences(v: optax.Params, steps: jax.Array) -> jax.Array:
        def at(h: jax.Array) -> jax.Array:
            return loss(jax.tree.map(lambda x, v: x + h * v, params, v), batch)

        values = jax.lax.map(at, jnp.outer(steps, jnp.array([1, -1, 2, -2])).ravel())
        up, down, up2, down2 = values.reshape(-1, 4).T
        return (8 * (up - down) - (up2 - down2)) / (12 * steps)

    @jax.jit
    def forward(v: optax.Params, steps: jax.Array) -> jax.Array:
        _, along = jax.jvp(lambda params: loss(params, batch), (params,), (v,))
        return along[None]

    kinds = {"by central differences": differences, "in forward mode": forward}
    try:
        forward(params, _STEPS)
    except TypeError as error:
        if "custom_vjp" not in str(error):
            raise
        del kinds["in forward mode"]
    return kinds
