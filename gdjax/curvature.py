"""Derivatives of a loss held against each other, to see that its gradient is right."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdjax._checks import POSITIVE, number
from gdjax.tree import (
    Tree,
    is_absent,
    named_leaves,
    require_floating,
    require_scalar,
)

_STEPS = np.array([1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7])  # times the leaf's size
_SMALLEST = 1e-3  # size: a leaf may be zeros
_DIRECTIONS = 2  # drawn for each leaf
_ROUNDING = 1e-14  # of the loss: of its differences, over the largest step
_NEARBY = 1e-3  # times the leaf's size


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
    wrong for all of them. Exactly on a kink, as where an input of zeros meets a bias of
    zero, there is no derivative: a gradient is wrong only if it is so at a random point
    nearby as well.

    Parameters and the floats of the batch are cast to f64, and the loss must compute in
    f64: what it rounds to f32 on the way looks wrong. The comparison with forward mode
    is left out where a `custom_vjp` has none.

    Args:
      loss: `(params, batch) -> scalar`, deterministic.
      params: a tree of real floating arrays.
      batch: a tree of arrays.
      rtol: how far two derivatives may be apart, relative to |grad of the leaf| |v|;
        finite, > 0.

    Returns:
      The largest relative error by leaf; 0 where it is within the rounding of the loss.

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
    for path, leaf in named_leaves(params).items():
        if not is_absent(leaf) and jnp.iscomplexobj(leaf):
            raise TypeError(f"`params` must be real, leaf `{path}` is complex.")
    with jax.enable_x64(True):
        params, batch = jax.tree.map(_to_f64, (params, batch))
        returned = jax.eval_shape(loss, params, batch)
        require_scalar("loss", returned)
        if returned.dtype != jnp.float64:
            raise ValueError(f"`loss` must compute in f64, got {returned.dtype}.")
        derivatives = _Derivatives(loss, params, batch)
        errors, wrong = _compare(derivatives, params, batch, rtol)
        if wrong:
            nearby = jax.tree.map(_nearby, params)
            if np.isfinite(loss(nearby, batch)):
                others, wrong_too = _compare(derivatives, nearby, batch, rtol)
                wrong = {name: wrong[name] for name in wrong if name in wrong_too}
                errors = others
    if wrong:
        raise AssertionError(next(iter(wrong.values())))
    return errors


class _Derivatives:
    """A loss with the three kinds of its derivatives, each compiled once."""

    def __init__(self, loss: Callable, params: optax.Params, batch: Tree):
        def differences(params, batch, v, steps):
            def at(h):
                return loss(jax.tree.map(lambda x, v: x + h * v, params, v), batch)

            values = jax.lax.map(
                at, jnp.outer(steps, jnp.array([1, -1, 2, -2])).ravel()
            )
            up, down, up2, down2 = values.reshape(-1, 4).T
            return (8 * (up - down) - (up2 - down2)) / (12 * steps)

        def forward(params, batch, v, steps):
            along = jax.jvp(lambda params: loss(params, batch), (params,), (v,))[1]
            return along[None]

        self.value_and_grad = jax.jit(jax.value_and_grad(loss))
        self.kinds = {
            "by central differences": jax.jit(differences),
            "in forward mode": jax.jit(forward),
        }
        try:
            self.kinds["in forward mode"](params, batch, params, _STEPS)
        except TypeError as error:
            if "custom_vjp" not in str(error):
                raise
            del self.kinds["in forward mode"]


def _compare(
    derivatives: _Derivatives, params: optax.Params, batch: Tree, rtol: float
) -> tuple[dict[str, float], dict[str, str]]:
    """Relative errors by leaf, and for each wrong leaf a sentence.

    Raises:
      AssertionError: a gradient is not finite.
      ValueError: the loss is not.
    """
    value, grads = derivatives.value_and_grad(params, batch)
    if not np.isfinite(value):
        raise ValueError(f"`loss` must be finite at `params`, got {value}.")
    names = [path for path, x in named_leaves(params).items() if not is_absent(x)]
    leaves, treedef = jax.tree.flatten(params)
    rng = np.random.default_rng(0)
    errors, wrong = dict.fromkeys(names, 0.0), {}
    for i, grad in enumerate(map(np.asarray, jax.tree.leaves(grads))):
        if not np.isfinite(grad).all():
            raise AssertionError(f"the gradient of leaf `{names[i]}` is not finite.")
        steps = _STEPS * _size(leaves[i])
        rounding = _ROUNDING * abs(float(value)) / steps[0]
        for _ in range(_DIRECTIONS if grad.size else 0):
            direction = [np.zeros(x.shape) for x in leaves]
            direction[i] = rng.normal(size=grad.shape)
            reverse = float(np.sum(grad * direction[i]))
            scale = float(np.linalg.norm(grad) * np.linalg.norm(direction[i]))
            v = treedef.unflatten(direction)
            for words, kind in derivatives.kinds.items():
                found = np.asarray(kind(params, batch, v, steps))
                apart = np.abs(found - reverse)
                best = int(np.argmin(np.where(np.isnan(apart), np.inf, apart)))
                if not apart[best] <= rtol * scale + rounding:
                    wrong[names[i]] = (
                        f"the gradient of leaf `{names[i]}` is wrong: along a random "
                        f"direction it is {reverse:.9g} in reverse mode, "
                        f"{found[best]:.9g} {words}."
                    )
                elif apart[best] > rounding:
                    errors[names[i]] = max(errors[names[i]], float(apart[best]) / scale)
    return errors, wrong


def _size(leaf: jax.Array) -> float:
    """The root mean square of a leaf, or what takes its place."""
    size = float(np.sqrt(np.mean(np.square(leaf)))) if leaf.size else 0.0
    return max(size, _SMALLEST)


def _nearby(leaf: jax.Array) -> jax.Array:
    noise = np.random.default_rng(1).normal(size=leaf.shape)
    return leaf + _NEARBY * _size(leaf) * noise


def _to_f64(leaf: jax.typing.ArrayLike) -> jax.typing.ArrayLike:
    floating = jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
    return jnp.asarray(leaf, jnp.float64) if floating else leaf
