"""Functions that are hard in one way each: a saddle, a curved valley, many minima."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._checks import FINITE, integer, number
from gdjax.problems._problem import Problem, problem_of


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

    return problem_of(fun, [1.0, offset], [0.0, 1.0], -0.25, np.diag([1.0, 2.0]))


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
    return problem_of(
        fun, init, np.ones(dim), 0.0, np.diag(diagonal) + beside + beside.T
    )


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
    return problem_of(
        fun, np.full(dim, 2.2), np.zeros(dim), 0.0, curvature * np.eye(dim)
    )
