"""Float64 oracles of decay, sparsity, constraints, noise and caution, from the papers.

One array: (g, p, state, t) -> update. Entries of `state` called like a field of the
transformation's state are compared with it.
"""

import numpy as np
from oracles.links import trace


def cautious_decay(g, p, s, t, weight_decay):
    """Chen et al., algorithm 1; of complex numbers the real part decides."""
    aligned = np.cos(np.angle(g) - np.angle(p)) >= 0
    return g + weight_decay * aligned * p


def independent_decay(g, p, s, t, learning_rate, weight_decay):
    return -learning_rate * trace(g, p, s, t, 0.9) - weight_decay * p


def l1_subgradient(g, p, s, t, strength):
    size = np.abs(p)
    return g + strength * p / np.where(size > 0, size, 1)


def proximal_l1(g, p, s, t, learning_rate, strength):
    """Soft thresholding of the step's end, Daubechies et al., (2.7)."""
    x = p - learning_rate * g
    size, threshold = np.abs(x), learning_rate * strength
    shrunk = np.where(
        size > threshold, (size - threshold) * np.exp(1j * np.angle(x)), 0
    )
    s["count"] = t
    return (shrunk if np.iscomplexobj(p) else shrunk.real) - p


def l2_ball(g, p, s, t, learning_rate, radius):
    x = p - learning_rate * g
    return x * min(1.0, radius / np.sqrt(np.sum(np.abs(x) ** 2))) - p


def non_negative(g, p, s, t, learning_rate):
    return np.maximum(p - learning_rate * g, 0) - p


def size_of_noise(g, p, s, t, eta, gamma):
    """Neelakantan et al., (1): the deviation stands in for the noise."""
    s["count"] = t
    return g * np.sqrt(eta / t**gamma)


def size_of_heat(g, p, s, t, temperature, learning_rate):
    """What makes lr u a noise of the variance 2 lr temperature."""
    return g * np.sqrt(2 * learning_rate * temperature) / learning_rate


def cautious(g, p, s, t, floor, decay):
    """Liang et al., algorithm 1, around heavy-ball momentum."""
    u = trace(g, p, s, t, decay)
    agrees = np.cos(np.angle(u) - np.angle(g)) > 0
    s["kept_share"] = agrees.mean()
    return u * agrees / max(agrees.mean(), floor)
