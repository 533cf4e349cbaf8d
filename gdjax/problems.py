"""Test functions whose minimum is known: what an optimizer is first tried on."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._checks import FINITE, NON_NEGATIVE, POSITIVE, Range, integer, number

_AT_LEAST_1 = Range("be finite and >= 1", lambda x: 1 <= x < float("inf"))


class Problem(NamedTuple):
    """A function to minimise and what is known about it.

    Attributes:
      fun: `x -> scalar`, with x of shape [dim], in the dtype of x; that of
        `noisy_quadratic` takes a random key behind x.
      init: [dim], where to start; f32, f64 under x64.
      minimizer: [dim], where `fun` is smallest.
      minimum: `fun` there.
      hessian: [dim, dim], the second derivatives there.
    """

    fun: Callable[..., jax.Array]
    init: jax.Array
    minimizer: jax.Array
    minimum: float
    hessian: jax.Array


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


def saddle(offset: float = 1e-3) -> Problem:
    """Two minima, and a saddle point between them that the start is drawn to.

        f(x, y) = x^2 / 2 + y^4 / 4 - y^2 / 2

    from (1, offset). The saddle is at 0, with curvatures 1 and -1: from y = 0 exactly,
    gradient descent goes there and stays.

    Args:
      offset: the start's distance from the line that leads into the saddle; finite.

    Returns:
      The problem, of dimension 2. The minimiser is (0, 1); (0, -1) is as good.

    Raises:
      ValueError, TypeError: `offset` is not finite, or no number.

    Example:
      >>> problem = saddle()
      >>> print(jax.grad(problem.fun)(jnp.zeros(2)))
      [0. 0.]
      >>> problem.minimum
      -0.25
    """
    offset = float(number("offset", offset, FINITE))

    def fun(x: jax.Array) -> jax.Array:
        return x[0] ** 2 / 2 + x[1] ** 4 / 4 - x[1] ** 2 / 2

    return _problem(fun, [1.0, offset], [0.0, 1.0], -0.25, np.diag([1.0, 2.0]))


def rosenbrock(dim: int = 2) -> Problem:
    """A curved valley, easy to find and slow to follow.

        f(x) = sum_i 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2

    from (-1.2, 1, -1.2, 1, ...). From dimension 4 on there is a second, local minimum
    near (-1, 1, ..., 1).

    Args:
      dim: >= 2.

    Returns:
      The problem.

    Raises:
      ValueError, TypeError: `dim` is too small, or no integer.

    Example:
      >>> problem = rosenbrock()
      >>> f"{problem.fun(problem.init):.4g}"
      '24.2'

    Reference: Rosenbrock (1960), Computer Journal 3.
    """
    dim = integer("dim", dim, 2)

    def fun(x: jax.Array) -> jax.Array:
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    # At (1, ..., 1) every term i adds 802 at i, 200 at i + 1 and -400 between them.
    diagonal = np.full(dim, 1002.0)
    diagonal[0], diagonal[-1] = 802, 200
    beside = np.diag(np.full(dim - 1, -400.0), 1)
    init = np.where(np.arange(dim) % 2, 1.0, -1.2)
    return _problem(fun, init, np.ones(dim), 0.0, np.diag(diagonal) + beside + beside.T)


def rastrigin(dim: int = 2) -> Problem:
    """A bowl full of local minima, one near each point with integer coordinates.

        f(x) = 10 dim + sum_i x_i^2 - 10 cos(2 pi x_i)

    from (2.2, ..., 2.2), three minima away from the global one.

    Args:
      dim: >= 1.

    Returns:
      The problem.

    Raises:
      ValueError, TypeError: `dim` is too small, or no integer.

    Example:
      >>> float(rastrigin().fun(jnp.zeros(2)))
      0.0

    Reference: Rastrigin (1974), Systems of Extremal Control; Muehlenbein et al.
      (1991), Parallel Computing 17, for any dimension.
    """
    dim = integer("dim", dim, 1)

    def fun(x: jax.Array) -> jax.Array:
        # 10 - 10 cos(2 pi x) = 20 sin(pi x)^2, which does not cancel near 0.
        return jnp.sum(x**2 + 20 * jnp.sin(jnp.pi * x) ** 2)

    curvature = 2 + 40 * math.pi**2
    return _problem(fun, np.full(dim, 2.2), np.zeros(dim), 0.0, curvature * np.eye(dim))


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
        return jnp.sum(_as(h, x) * x**2 / 2 + _as(np.sqrt(c), x) * noise * x)

    return _problem(fun, np.ones(len(h)), np.zeros(len(h)), 0.0, np.diag(h))


def logistic(
    num_examples: int = 200, dim: int = 2, *, l2: float = 1e-2, seed: int = 0
) -> Problem:
    """Logistic regression on two overlapping clouds of points: convex, smooth.

        f(w) = mean_i log(1 + exp(-y_i w . x_i)) + l2 / 2 |w|^2,   y_i = +-1

    from w = 0, where f = log 2. The points x_i are drawn from a unit normal around
    y_i (1, ..., 1) / sqrt(dim), and their coordinates scaled by 1 (the first) to 0.1
    (the last). The minimiser is found by Newton's method in f64.

    Args:
      num_examples: >= 2; as many of each class, one more of the first if odd.
      dim: of the points, >= 1.
      l2: > 0, so that there is one minimiser whatever the points.
      seed: of the points, >= 0; the same on every machine.

    Returns:
      The problem.

    Raises:
      ValueError, TypeError: a number lies outside its range, or is none.

    Example:
      >>> problem = logistic()
      >>> f"{problem.fun(problem.init):.3f}, {problem.minimum:.3f}"
      '0.693, 0.443'

    Reference: Cox (1958), Journal of the Royal Statistical Society B 20.
    """
    num_examples = integer("num_examples", num_examples, 2)
    dim = integer("dim", dim, 1)
    l2 = float(number("l2", l2, POSITIVE))
    # RandomState's streams are frozen for ever, those of `default_rng` are not.
    rng = np.random.RandomState(integer("seed", seed, 0) % 2**32)
    y = np.where(np.arange(num_examples) % 2, -1.0, 1.0)
    x = rng.normal(size=(num_examples, dim)) + y[:, None] / math.sqrt(dim)
    signed = y[:, None] * x * np.geomspace(1, 0.1, dim)

    def fun(w: jax.Array) -> jax.Array:
        margins = _as(signed, w) @ w
        return jnp.mean(jax.nn.softplus(-margins)) + l2 / 2 * jnp.sum(w**2)

    def derivatives(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wrong = 1 / (1 + np.exp(signed @ w))
        gradient = l2 * w - wrong @ signed / num_examples
        weights = wrong * (1 - wrong) / num_examples
        return gradient, signed.T * weights @ signed + l2 * np.eye(dim)

    w = np.zeros(dim)
    for _ in range(20):  # quadratic convergence: 1e-16 after about six
        w = w - np.linalg.solve(*derivatives(w)[::-1])
    minimum = np.logaddexp(0, -signed @ w).mean() + l2 / 2 * w @ w
    return _problem(fun, np.zeros(dim), w, float(minimum), derivatives(w)[1])


def _bowl(hessian: np.ndarray, init: np.ndarray) -> Problem:
    def fun(x: jax.Array) -> jax.Array:
        return x @ (_as(hessian, x) @ x) / 2

    return _problem(fun, init, np.zeros(len(init)), 0.0, hessian)


def _problem(fun, init, minimizer, minimum, hessian) -> Problem:
    arrays = (jnp.asarray(value, float) for value in (init, minimizer, hessian))
    init, minimizer, hessian = arrays
    return Problem(fun, init, minimizer, minimum, hessian)


def _numbers(name: str, values: Sequence[float], allowed: Range) -> np.ndarray:
    if not isinstance(values, (Sequence, np.ndarray)) or not len(values):
        raise ValueError(f"`{name}` must be a list of numbers, got {values!r}.")
    return np.array(
        [number(f"{name}[{i}]", value, allowed) for i, value in enumerate(values)]
    )


def _as(constant: np.ndarray, x: jax.Array) -> jax.Array:
    return jnp.asarray(constant, x.dtype)
