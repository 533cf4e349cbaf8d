"""Logistic regression, whose minimiser Newton's method finds."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from gdjax._checks import POSITIVE, integer, number
from gdjax.problems._problem import Problem, cast, problem_of


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
        margins = cast(signed, w) @ w
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
    return problem_of(fun, np.zeros(dim), w, float(minimum), derivatives(w)[1])
