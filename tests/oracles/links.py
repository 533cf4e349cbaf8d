"""Float64 oracles for one array, written from the papers: (g, p, state, t) -> update.

Entries of `state` called like a field of the transformation's state are compared with
it; names with an underscore are the oracle's own.
"""

import numpy as np


def trace(g, p, s, t, decay):
    s["trace"] = decay * s.get("trace", 0) + g
    return s["trace"]


def nesterov(g, p, s, t, decay):
    return decay * trace(g, p, s, t, decay) + g


def adam(g, p, s, t, b1, b2, eps, eps_root):
    s["mu"] = b1 * s.get("mu", 0) + (1 - b1) * g
    s["nu"] = b2 * s.get("nu", 0) + (1 - b2) * abs(g) ** 2
    s["count"], s["mu_weight"], s["nu_weight"] = t, 1 - b1**t, 1 - b2**t
    m, v = s["mu"] / (1 - b1**t), s["nu"] / (1 - b2**t)
    return m / (np.sqrt(v + eps_root) + eps)


def nadam(g, p, s, t, b1, b2, eps, eps_root):
    adam(g, p, s, t, b1, b2, eps, eps_root)
    m = b1 * s["mu"] / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
    return m / (np.sqrt(s["nu"] / (1 - b2**t) + eps_root) + eps)


def decayed_weights(g, p, s, t, weight_decay):
    return g + weight_decay * p


def learning_rate(g, p, s, t, learning_rate):
    s["learning_rate"] = learning_rate
    return -learning_rate * g


def scale(g, p, s, t, step_size):
    return step_size * g


def decaying(g, p, s, t, first):
    s["count"] = t
    return first / t * g


def sgd(g, p, s, t, learning_rate, momentum):
    return -learning_rate * trace(g, p, s, t, momentum)


def adamw(g, p, s, t, learning_rate, weight_decay=0.0, **h):
    return -learning_rate * (adam(g, p, s, t, **h) + weight_decay * p)


def accumulated_sgd(g, p, s, t, momentum):
    """Heavy ball at 0.1, a step for the mean of every three gradients."""
    s["mini_step"] = t % 3
    s["summed"] = s.get("summed", 0) + g if t % 3 != 1 else g
    if t % 3:
        return 0 * g
    s["trace"] = momentum * s.get("trace", 0) + s["summed"] / 3
    return -0.1 * s["trace"]


def heavy_ball_rule(g, p, s, t, decay):
    s["velocity"] = decay * s.get("velocity", 0) + g
    return s["velocity"]


def plateau(g, p, s, t, factor, rtol, atol, min_scale=1e-3, stop_below=5e-3, better=1):
    """Patience 1, cooldown 1, of the gradient's first number; better is -1 for max."""
    if t == 1:
        s.update(scale=1.0, best_value=better * np.inf, stop=0.0)
        s.update(plateau_count=0, cooldown_count=0, count=0, avg_value=np.float64(0))
    value, best = g[0].real, s["best_value"]
    margin = atol + rtol * abs(best) if np.isfinite(best) else 0.0
    improved = value < best - margin if better == 1 else value > best + margin
    if improved:
        s["best_value"] = value
    if s["cooldown_count"] > 0:
        s["cooldown_count"] -= 1
    elif not improved:
        s["scale"] = max(factor * s["scale"], min_scale)
        s["cooldown_count"] = 1
    s["stop"] = max(s["stop"], float(s["scale"] < stop_below))
    return s["scale"] * g


def two_groups(g, p, s, t, decay, weight_decay):
    s["heavy"] = decay * s.get("heavy", 0) + g
    return s["heavy"] + 2 * (g + weight_decay * p)
