"""Quadratics: along the axes, across them, and seen through noise."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._checks import FINITE, NON_NEGATIVE, POSITIVE, Range, integer, number
from gdjax.problems._problem import Problem, cast, problem_of

_AT_LEAST_1 = Range("be finite and >= 1", lambda x: 1 <= x < float("inf"))


def quadratic(condition: float = 100.0, dim: int = 2) -> Problem:
    """A bowl along the axes, as much steeper along the last as `condition` says.

        f(x) = 1/2 sum_i h_i x_i^2,   h_i = condition^(i / (dim - 1)),  i < dim

    from x = (1, ..., 1). Gradient descent converges for learning rates below
    2 / condition, and fastest at 2 / (1 + condition).

    Args:
      condition: the largest curvature, where the smallest is 1; finite, >= 1.
      dim: >= 1; with 1 the only curvature is `condition`.

    Returns:
      The problem.

    Raises:
      ValueError, TypeError: a number lies outside its range, or is none.

    Example:
      >>> problem = quadratic(condition=10.0)
      >>> float(problem.fun(problem.init))
      5.5
    """
    condition = float(number("condition", condition, _AT_LEAST_1))
    dim = integer("dim", dim, 1)
    curvatures = np.geomspace(1, condition, dim) if dim > 1 else np.array([condition])
    return _bowl(np.diag(curvatures), np.ones(dim))


def ravine(condition: float = 100.0, angle: float = math.pi / 6) -> Problem:
    """A long straight valley across both axes.

        f(x) = 1/2 x^T R diag(1, condition) R^T x,   R a rotation by `angle`

    from 3 along the valley and 0.3 up its wall. No rate for each coordinate can make
    it round, as it could a `quadratic`.

    Args:
      condition: the wall's curvature, where the floor's is 1; finite, >= 1.
      angle: in radians between the first axis and the floor; finite.

    Returns:
      The problem, of dimension 2.

    Raises:
      ValueError, TypeError: a number lies outside its range, or is none.

    Example:
      >>> np.linalg.eigvalsh(ravine(condition=50.0).hessian).round(4)
      array([ 1., 50.], dtype=float32)
    """
    condition = float(number("condition", condition, _AT_LEAST_1))
    angle = float(number("angle", angle, FINITE))
    rotation = np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    hessian = rotation * [1, condition] @ rotation.T
    return _bowl(hessian, rotation @ [3, 0.3])


def noisy_quadratic(curvatures: Sequence[float], variances: Sequence[float]) -> Problem:
    """A bowl whose gradient is seen through noise: mini-batches, without the data.

        f(x, key) = sum_i h_i x_i^2 / 2 + sqrt(c_i) e_i x_i,   e_i ~ N(0, 1) by key

    The gradient h x + sqrt(c) e has mean h x and variance c. Gradient descent with a
    rate r does not come to rest: E x_i^2 tends to r c_i / (h_i (2 - r h_i)).

    Args:
      curvatures: h [dim], each finite and > 0.
      variances: c [dim], each finite and >= 0.

    Returns:
      The problem, from (1, ..., 1); `fun(x, key)`. Minimiser, minimum and Hessian are
      those of the mean.

    Raises:
      ValueError, TypeError: a number lies outside its range, or the lengths differ.

    Example:
      >>> problem = noisy_quadratic([1.0, 10.0], [0.0, 0.0])
      >>> float(problem.fun(problem.init, jax.random.key(0)))
      5.5

    Reference: Zhang et al. (2019), arXiv:1907.04164.
    """
    h = _numbers("curvatures", curvatures, POSITIVE)
    c = _numbers("variances", variances, NON_NEGATIVE)
    if len(h) != len(c):
        raise ValueError(
            f"`curvatures` and `variances` must have one length, got {len(h)} and "
            f"{len(c)}."
        )

    def fun(x: jax.Array, key: jax.Array) -> jax.Array:
        noise = jax.random.normal(key, x.shape, x.dtype)
        return jnp.sum(cast(h, x) * x**2 / 2 + cast(np.sqrt(c), x) * noise * x)

    return problem_of(fun, np.ones(len(h)), np.zeros(len(h)), 0.0, np.diag(h))


def _bowl(hessian: np.ndarray, init: np.ndarray) -> Problem:
    def fun(x: jax.Array) -> jax.Array:
        return x @ (cast(hessian, x) @ x) / 2

    return problem_of(fun, init, np.zeros(len(init)), 0.0, hessian)


def _numbers(name: str, values: Sequence[float], allowed: Range) -> np.ndarray:
    if not isinstance(values, (Sequence, np.ndarray)) or not len(values):
        raise ValueError(f"`{name}` must be a list of numbers, got {values!r}.")
    return np.array(
        [number(f"{name}[{i}]", value, allowed) for i, value in enumerate(values)]
    )
