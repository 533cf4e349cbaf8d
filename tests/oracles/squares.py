"""Float64 oracles of the rules that divide by a size of past gradients.

As in `links`: for one array, written from the papers, (g, p, state, t) -> update.
"""

import numpy as np
from oracles import links


def square_sum(g, p, s, t, initial_accumulator_value, eps, inside=True):
    """Duchi, Hazan and Singer (2011); eps inside the root is Optax's."""
    s["sum_of_squares"] = s.get("sum_of_squares", initial_accumulator_value) + (
        abs(g) ** 2
    )
    return _divided(g, s["sum_of_squares"], eps, inside)


def mean_square(g, p, s, t, decay, eps, initial_scale, inside=True, corrected=False):
    """Tieleman and Hinton (2012)."""
    s["nu"] = decay * s.get("nu", initial_scale) + (1 - decay) * abs(g) ** 2
    if corrected:
        s["count"], s["nu_weight"] = t, 1 - decay**t
    return _divided(g, s["nu"] / s.get("nu_weight", 1), eps, inside)


def deviation(g, p, s, t, decay, eps, initial_scale, inside=True):
    """Graves (2013), equations 38 to 40: n - m^2, here kept under `nu`."""
    s["mu"] = decay * s.get("mu", 0) + (1 - decay) * g
    s["_n"] = decay * s.get("_n", initial_scale) + (1 - decay) * abs(g) ** 2
    s["nu"] = s["_n"] - abs(s["mu"]) ** 2
    return _divided(g, s["nu"], eps, inside)


def corrected_deviation(g, p, s, t, decay, eps, initial_scale):
    """A weighted variance by its definition: from all gradients so far, in two passes.

    `nu` is the sum behind it, before the division by all weights.
    """
    gradients = s.setdefault("_gradients", [])
    gradients.append(g)
    weights = (1 - decay) * decay ** np.arange(t)[::-1]
    s["count"], s["weight"] = t, weights.sum()
    s["mu"] = weights @ np.array(gradients)
    off = abs(gradients - s["mu"] / weights.sum()) ** 2
    s["nu"] = weights @ off + decay**t * initial_scale
    return g / np.sqrt(s["nu"] / weights.sum() + eps)


def adadelta(g, p, s, t, rho, eps):
    """Zeiler (2012), algorithm 1."""
    s["e_g"] = rho * s.get("e_g", 0) + (1 - rho) * abs(g) ** 2
    step = np.sqrt(s.get("e_x", 0) + eps) / np.sqrt(s["e_g"] + eps) * g
    s["e_x"] = rho * s.get("e_x", 0) + (1 - rho) * abs(step) ** 2
    return step


def amsgrad(g, p, s, t, b1, b2, eps, eps_root, correct_after=False):
    """Reddi et al. (2018), algorithm 2, and Adam's bias corrections."""
    s["mu"] = b1 * s.get("mu", 0) + (1 - b1) * g
    s["nu"] = b2 * s.get("nu", 0) + (1 - b2) * abs(g) ** 2
    s["count"], s["mu_weight"], s["nu_weight"] = t, 1 - b1**t, 1 - b2**t
    before, after = (1, 1 - b2**t) if correct_after else (1 - b2**t, 1)
    s["nu_max"] = np.maximum(s.get("nu_max", 0), s["nu"] / before)
    return s["mu"] / (1 - b1**t) / (np.sqrt(s["nu_max"] / after + eps_root) + eps)


def adamax(g, p, s, t, b1, b2, eps):
    """Kingma and Ba (2014), algorithm 2; eps beside |g| is Optax's and torch's."""
    s["mu"] = b1 * s.get("mu", 0) + (1 - b1) * g
    s["nu"] = np.maximum(b2 * s.get("nu", 0), abs(g) + eps)
    s["count"], s["mu_weight"] = t, 1 - b1**t
    return s["mu"] / (1 - b1**t) / s["nu"]


def step(rule, **options):
    """The optimizer of a rule: minus the rate, weights decay apart from it."""

    def oracle(g, p, s, t, learning_rate, weight_decay=0.0, **h):
        return -learning_rate * (rule(g, p, s, t, **options, **h) + weight_decay * p)

    return oracle


def rmsprop(rule, nesterov=False, **options):
    """The rate stands in front of the momentum."""

    def oracle(g, p, s, t, learning_rate, momentum, **h):
        scaled = -learning_rate * rule(g, p, s, t, **options, **h)
        sum_of_steps = links.nesterov if nesterov else links.trace
        return sum_of_steps(scaled, p, s, t, momentum)

    return oracle


def decayed_adadelta(g, p, s, t, learning_rate, weight_decay, **h):
    return -learning_rate * adadelta(g + weight_decay * p, p, s, t, **h)


def _divided(g, square, eps, inside):
    return g / np.sqrt(square + eps) if inside else g / (np.sqrt(square) + eps)
