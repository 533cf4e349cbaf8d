"""Test functions whose minimum is known: what an optimizer is first tried on.

Each function makes a `Problem`: what to minimise, where to start, and what is known of
the minimum. Bowls are quadratics, exact, rotated or noisy; valleys are functions of two
or more variables with a name in the literature; `logistic` is a convex fit to data.
"""

from gdjax.problems._bowls import noisy_quadratic, quadratic, ravine
from gdjax.problems._logistic import logistic
from gdjax.problems._problem import Problem
from gdjax.problems._valleys import rastrigin, rosenbrock, saddle

__all__ = [
    "Problem",
    "logistic",
    "noisy_quadratic",
    "quadratic",
    "rastrigin",
    "ravine",
    "rosenbrock",
    "saddle",
]
