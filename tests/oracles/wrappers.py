"""Float64 oracles of wrappers, see `oracles.links`."""

import numpy as np
from oracles import links


def injected_sgd(g, p, s, t, learning_rate, momentum):
    """Heavy ball, and one of its hyperparameters in the state."""
    s["momentum"], s["count"] = momentum, t
    return links.sgd(g, p, s, t, learning_rate, momentum)


def sam_of_sgd(g, p, s, t, learning_rate, rho):
    """Foret et al. (2020), equation 2, where the gradient grows by 1/2 a unit."""
    e = rho * g / np.linalg.norm(g)
    return -learning_rate * (g + 0.5 * e)


def asam_of_sgd(g, p, s, t, learning_rate, rho, eta):
    """Kwon et al. (2021), equation 5, with T = diag(|p| + eta)."""
    size = abs(p) + eta
    e = rho * size**2 * g / np.linalg.norm(size * g)
    return -learning_rate * (g + 0.5 * e)


def two_depths(g, p, s, t, decay):
    """Heavy ball at depths 0 and 1, where what is above counts twice."""
    velocity = 0.8 * s.get("above", 0) + g
    s["above"] = s["below"] = velocity
    return decay * velocity + 2 * velocity


def monitored(g, p, s, t):
    s["size"] = np.linalg.norm(g)
    s["mean_size"] = 0.9 * s.get("mean_size", 0) + 0.1 * s["size"]
    return g
