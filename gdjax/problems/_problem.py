"""What is known about a function to minimise."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


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


def problem_of(fun, init, minimizer, minimum, hessian) -> Problem:
    arrays = (jnp.asarray(value, float) for value in (init, minimizer, hessian))
    init, minimizer, hessian = arrays
    return Problem(fun, init, minimizer, minimum, hessian)


def cast(constant: np.ndarray, x: jax.Array) -> jax.Array:
    return jnp.asarray(constant, x.dtype)
