"""Float64 oracles of rules that correct, replace or do without Adam's mean square."""

import functools
from decimal import Decimal, localcontext

import numpy as np


def mean_of(s, name, value, decay, t, start=0.0):
    """The bias-corrected average of `value`, kept in `s` under `name`."""
    s[name] = decay * s.get(name, start) + (1 - decay) * value
    s[f"{name}_weight"] = 1 - decay**t
    return s[name] / (1 - decay**t)


def ahead(s, g, b1, t):
    """NAdam's mean: the gradient counts twice."""
    return b1 * s["mu"] / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)


@functools.cache
def length(b2, t):
    """(rho_t, rho_inf), in 40 digits: a difference of two numbers around 2000."""
    with localcontext(prec=40):
        b, one = Decimal(b2), Decimal(1)
        longest = 2 / (one - b) - 1
        return float(longest - 2 * t * b**t / (1 - b**t)), float(longest)


def radam(g, p, s, t, b1, b2, eps, eps_root, threshold, nesterov=False):
    m = mean_of(s, "mu", g, b1, t)
    v = mean_of(s, "nu", abs(g) ** 2, b2, t)
    m = ahead(s, g, b1, t) if nesterov else m
    rho, longest = length(float(b2), t)
    if rho < threshold:
        return m
    above = (rho - 4) * (rho - 2) * longest
    r = np.sqrt(max(above / ((longest - 4) * (longest - 2) * rho), 0))
    return r * m / (np.sqrt(v + eps_root) + eps)


def belief(g, p, s, t, b1, b2, eps, eps_root, nesterov=False):
    """The paper's Algorithm 2: its one epsilon is eps_root, in s_t itself, and eps."""
    m = mean_of(s, "mu", g, b1, t)
    mean_of(s, "nu", abs(g - s["mu"]) ** 2, b2, t)
    s["nu"] = s["nu"] + eps_root
    m = ahead(s, g, b1, t) if nesterov else m
    return m / (np.sqrt(s["nu"] / (1 - b2**t)) + eps)


def yogi(g, p, s, t, b1, b2, eps, eps_root=0.0, initial_accumulator_value=1e-6):
    start = initial_accumulator_value
    m = mean_of(s, "mu", g, b1, t, start)
    v, square = s.get("nu", start + 0 * abs(g)), abs(g) ** 2
    s["nu"] = v - (1 - b2) * np.sign(v - square) * square
    s["nu_weight"] = 1 - b2**t
    return m / (np.sqrt(s["nu"] / (1 - b2**t) + eps_root) + eps)


def adan(g, p, s, t, b1, b2, b3, eps, eps_root):
    """The paper's 1 - beta are b1, b2 and b3; averages corrected as in its code."""
    change = g - s.get("g", g)
    s["g"], s["t"] = g, t
    m = mean_of(s, "m", g, b1, t)
    v = mean_of(s, "v", change, b2, t)
    n = mean_of(s, "n", abs(g + b2 * change) ** 2, b3, t)
    return (m + b2 * v) / (np.sqrt(n + eps_root) + eps)


def sign(g, p=None, s=None, t=1):
    """Of length 1 along each number, complex ones too."""
    size = np.where(g == 0, 1, abs(g))
    return g / size


def lion(g, p, s, t, b1, b2, shape=sign):
    s["count"], old = t, s.get("mu", 0)
    s["mu"] = b2 * old + (1 - b2) * g
    return shape(b1 * old + (1 - b1) * g)


def smooth_lion(g, p, s, t, smooth_beta, **h):
    return lion(
        g, p, s, t, **h, shape=lambda c: sign(c) * np.tanh(smooth_beta * abs(c))
    )


def refined_lion(g, p, s, t, **h):
    return lion(g, p, s, t, **h, shape=lambda c: np.where(abs(c) < 1, c, sign(c)))


def ema(g, p, s, t, decay):
    mean = mean_of(s, "ema", g, decay, t)
    s["count"], s["weight"] = t, s["ema_weight"]
    return mean


def signum(g, p, s, t, beta):
    ema(g, p, s, t, beta)
    return sign(s["ema"])


def rprop(g, p, s, t, learning_rate, eta_minus, eta_plus, min_step_size, max_step_size):
    """iRprop-: a number whose gradient changes sign waits for a step."""
    rates = eta_minus, eta_plus, min_step_size, max_step_size
    if np.iscomplexobj(g):  # two numbers
        re, im = s.setdefault("_parts", ({}, {}))
        real = rprop(g.real, p.real, re, t, learning_rate, *rates)
        return real + 1j * rprop(g.imag, p.imag, im, t, learning_rate, *rates)
    size, last = s.get("step_sizes", learning_rate + 0 * g), s.get("_sign", 0 * g)
    turned, went_on = last * g < 0, last * g > 0
    grown = np.minimum(size * eta_plus, max_step_size)
    shrunk = np.maximum(size * eta_minus, min_step_size)
    grown, shrunk = np.maximum(grown, min_step_size), np.minimum(shrunk, max_step_size)
    s["step_sizes"] = size = np.where(went_on, grown, np.where(turned, shrunk, size))
    s["_sign"] = np.where(turned, 0, np.sign(g))
    s["prev_updates"] = size * s["_sign"]
    return s["prev_updates"]


def novograd(g, p, s, t, b1, b2, eps, eps_root, weight_decay):
    """The paper's Algorithm 1: one v a layer, which starts at its first square."""
    square = np.sum(abs(g) ** 2)
    s["nu"] = square if t == 1 else b2 * s["nu"] + (1 - b2) * square
    u = g / (np.sqrt(s["nu"] + eps_root) + eps) + weight_decay * p
    s["count"], s["mu"] = t, b1 * s.get("mu", 0) + u
    return s["mu"]


def step(direction):
    """The oracle of `chain(link, add_decayed_weights, scale_by_learning_rate)`."""

    def oracle(g, p, s, t, learning_rate, weight_decay=0.0, **h):
        return -learning_rate * (direction(g, p, s, t, **h) + weight_decay * p)

    return oracle


def novograd_step(g, p, s, t, learning_rate, **h):
    return -learning_rate * novograd(g, p, s, t, **h)
