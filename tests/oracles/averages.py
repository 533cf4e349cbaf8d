"""Float64 oracles of the averages, see `oracles.links`."""

import numpy as np


def descent(g, p, s, rate):
    """A step of SGD; `_iterates` are where all of them have led."""
    s.setdefault("_iterates", []).append(p - rate * g)
    return -rate * g


def swa_of_sgd(g, p, s, t, learning_rate):
    """x_3, x_5, x_7, ... with x_t the parameters after update t, t from 0."""
    u = descent(g, p, s, learning_rate)
    taken = s["_iterates"][3::2]
    s["num_averaged"] = len(taken)
    s["average"] = np.mean(taken, axis=0) if taken else 0 * p
    return u


def shares(decays, debias):
    """Of a_t = d_t a_{t-1} + (1 - d_t) x_t: what a_0 and each of x_1 to x_t count."""
    left = np.array([np.prod(decays[i:]) for i in range(len(decays) + 1)])
    weights = (1 - np.array([0.0, *decays])) * left
    weights[0] = 0 if debias else left[0]
    return weights / weights.sum(), weights.sum()


def ema_of_sgd(g, p, s, t, decay, learning_rate=0.1, debias=True, warmup=None):
    """Polyak and Juditsky's average with exponential weights, written as a sum."""
    start = s.setdefault("_start", p)
    u = descent(g, p, s, learning_rate)
    times = np.arange(1, t + 1)
    grown = times / (times + warmup - 1) if warmup else np.ones(t)
    weights, s["weight"] = shares(np.minimum(decay, grown), debias)
    s["average"] = np.tensordot(weights, [start, *s["_iterates"]], 1)
    return u


def recorded_sgd(g, p, s, t, learning_rate):
    """The last three of x_2, x_4, x_6, ..., each where the one three before it was."""
    u = descent(g, p, s, learning_rate)
    taken = s["_iterates"][2::2]
    s["count"], s["num_taken"] = t, len(taken)
    s["iterates"] = np.array([([0 * p] + taken[i::3])[-1] for i in range(3)])
    return u


def lookahead_of_sgd(g, p, s, t, learning_rate, slow_step_size, momentum, resets=False):
    """Zhang et al. (2019), algorithm 1, k = 3, around heavy ball."""
    s.setdefault("slow", p)
    s["trace"] = momentum * s.get("trace", 0) + g
    fast = p - learning_rate * s["trace"]
    s["steps_since_sync"] = t % 3
    if t % 3 == 0:
        s["slow"] = fast = s["slow"] + slow_step_size * (fast - s["slow"])
        s["trace"] = s["trace"] * (not resets)
    return fast - p


def free(step, y, s, b1, weight):
    """Defazio et al. (2024), equations 3 to 5; `step` leads z on, `weight` is w_t.

    Of a y that was not moved as told, x is what y = (1 - b1) z + b1 x says.
    """
    z, x = s.get("z", y), s.get("_x", y)
    if not np.allclose(y, s.get("_y", y), 1e-9):
        x = (y - (1 - b1) * z) / b1
    s["_sum"] = s.get("_sum", 0) + weight
    c = weight / s["_sum"] if weight else 0.0
    s["z"] = z + step
    s["_x"] = (1 - c) * x + c * s["z"]
    s["_y"] = (1 - b1) * s["z"] + b1 * s["_x"]
    return s["_y"] - y


def warmed(rate, count):
    """A warm-up over 20 updates into a slow decay."""
    return rate * min((count + 1) / 20, 1) / (1 + 0.01 * count)


def schedule_free_of_sgd(g, p, s, t, rate, b1, weight_lr_power):
    """As Optax's: the optimizer's rate is that of t - 1, the weight's that of t."""
    s["max_lr"] = max(s.get("max_lr", 0), warmed(rate, t))
    s["step_count"] = t + 1
    weight = s["max_lr"] ** weight_lr_power
    u = free(-warmed(rate, t - 1) * g, p, s, b1, weight)
    s["weight_sum"] = s["_sum"]
    return u


def schedule_free_sgd(g, p, s, t, learning_rate, weight_decay, b1):
    """The rate of the laws never rises: its maximum, and so every weight, is one."""
    return free(-learning_rate * (g + weight_decay * p), p, s, b1, 1.0)


def schedule_free_adamw(g, p, s, t, learning_rate, b1, b2, eps, weight_decay):
    """Algorithm 1 of the paper, whose rate is corrected for v's start instead of v."""
    s["nu"] = b2 * s.get("nu", 0) + (1 - b2) * abs(g) ** 2
    adam = g / (np.sqrt(s["nu"] / (1 - b2**t)) + eps)
    return free(-learning_rate * (adam + weight_decay * p), p, s, b1, 1.0)
