"""Float64 oracles of trust ratios, factored squares and Adam's youngest descendants."""

import numpy as np
from oracles import links

norm = np.linalg.norm


def rms(x):
    return norm(x) / np.sqrt(x.size)


def trust_ratio(g, p, s, t, min_norm=0.0, trust_coefficient=1.0, eps=0.0):
    """You et al. (2017), eq. 6."""
    wanted, actual = max(norm(p), min_norm), max(norm(g), min_norm)
    if wanted == 0 or actual == 0:
        return g
    return trust_coefficient * wanted / (actual + eps) * g


def lamb(g, p, s, t, learning_rate, weight_decay, **h):
    """You et al. (2019), algorithm 2, with phi the identity."""
    r = links.adam(g, p, s, t, **h) + weight_decay * p
    return -learning_rate * trust_ratio(r, p, s, t)


def lars(g, p, s, t, learning_rate, weight_decay, trust_coefficient, eps, momentum):
    """You et al. (2017), algorithm 1."""
    r = g + weight_decay * p
    r = trust_ratio(r, p, s, t, trust_coefficient=trust_coefficient, eps=eps)
    s["trace"] = momentum * s.get("trace", 0) - learning_rate * r
    return s["trace"]


def square_rms(g, p, s, t, decay_rate=0.8, epsilon=1e-30, step_offset=0):
    """Shazeer and Stern (2018), algorithm 5: of what is not factored."""
    b = 1 - max(t - int(step_offset), 1) ** -decay_rate
    s["v"] = b * s.get("v", 0) + (1 - b) * (abs(g) ** 2 + epsilon)
    s["count"] = t
    return g / np.sqrt(s["v"])


def factored_rms(g, s, t, axes, decay_rate=0.8, epsilon=1e-30):
    """Shazeer and Stern (2018), algorithm 4: `axes` the largest and the second."""
    b = 1 - t**-decay_rate
    for name, axis in zip(("row", "col"), axes, strict=True):
        mean = np.mean(abs(g) ** 2 + epsilon, axis=axis, keepdims=True)
        s[name] = b * s.get(name, 0) + (1 - b) * mean
    v = s["row"] * s["col"] / np.mean(s["row"], axis=axes[1], keepdims=True)
    return g / np.sqrt(v)


def block_rms(g, p, s, t, threshold):
    return g / max(1.0, rms(g) / threshold)


def adafactor(
    g,
    p,
    s,
    t,
    learning_rate,
    decay_rate,
    eps,
    clipping_threshold,
    momentum,
    weight_decay_rate,
):
    """Shazeer and Stern (2018), algorithm 4, with Optax's momentum and decay."""
    u = square_rms(g, p, s, t, decay_rate, eps)
    u = block_rms(u, p, s, t, clipping_threshold)
    u = learning_rate * max(1e-3, rms(p)) * u
    s["ema"] = momentum * s.get("ema", 0) + (1 - momentum) * u
    return -(s["ema"] + weight_decay_rate * p)


def ademamix(g, p, s, t, b1, b2, b3, alpha, eps, eps_root):
    """Pagliardini et al. (2024), algorithm 1."""
    s["m1"] = b1 * s.get("m1", 0) + (1 - b1) * g
    s["m2"] = b3 * s.get("m2", 0) + (1 - b3) * g
    s["nu"] = b2 * s.get("nu", 0) + (1 - b2) * abs(g) ** 2
    s["count"] = s["count_m2"] = t
    above = s["m1"] / (1 - b1**t) + alpha * s["m2"]
    return above / (np.sqrt(s["nu"] / (1 - b2**t) + eps_root) + eps)


def ademamix_step(g, p, s, t, learning_rate, weight_decay, **h):
    return -learning_rate * (ademamix(g, p, s, t, **h) + weight_decay * p)


def adopt(g, p, s, t, b1, b2, eps, nesterov=False, clips=True):
    """Taniguchi et al. (2024), algorithm 2; its t = 1 is the second update here."""
    s["count"] = t
    if t == 1:
        s["mu"], s["nu"] = 0 * g, abs(g) ** 2
        return 0 * g
    x = g / np.maximum(np.sqrt(s["nu"]), eps)
    if clips:
        x = x * np.minimum(1, (t - 1) ** 0.25 / abs(x))
    s["mu"] = b1 * s["mu"] + (1 - b1) * x
    s["nu"] = b2 * s["nu"] + (1 - b2) * abs(g) ** 2
    return b1 * s["mu"] + (1 - b1) * x if nesterov else s["mu"]


def adopt_step(g, p, s, t, learning_rate, **h):
    return -learning_rate * adopt(g, p, s, t, **h)


def prodigy_direction(
    g,
    p,
    s,
    t,
    learning_rate,
    b1,
    b2,
    beta3,
    eps,
    estim_lr0,
    estim_lr_coef,
    weight_decay,
    start=1.5,
    safeguard=False,
    corrects=True,
):
    """Mishchenko and Defazio (2023), algorithm 4, from x_0 = start p.

    r and s are over (1 - b3) d0; bias correction and decay as in the authors' code.
    """
    x0 = s.setdefault("_x0", start * p)
    d = s.get("estim_lr", estim_lr0)
    c = np.sqrt(1 - b2**t) / (1 - b1**t) if corrects else 1.0
    weight = d * d * c * learning_rate / estim_lr0
    weight_s = d * d / estim_lr0 if safeguard else weight
    s["exp_avg"] = b1 * s.get("exp_avg", 0) + (1 - b1) * d * g
    s["exp_avg_sq"] = b2 * s.get("exp_avg_sq", 0) + (1 - b2) * abs(d * g) ** 2
    inner = np.real(np.sum(np.conj(g) * (x0 - p)))
    r = s["numerator_weighted"] = (
        beta3 * s.get("numerator_weighted", 0) + weight * inner
    )
    s["grad_sum"] = beta3 * s.get("grad_sum", 0) + weight_s * g
    s["estim_lr"] = max(d, estim_lr_coef * r / np.sum(abs(s["grad_sum"])))
    s["count"] = t
    adam = s["exp_avg"] / (np.sqrt(s["exp_avg_sq"]) + s["estim_lr"] * eps)
    return d * c * (adam + weight_decay * p)


def prodigy(g, p, s, t, learning_rate, **h):
    return -learning_rate * prodigy_direction(g, p, s, t, learning_rate, **h)


def mars(g, p, s, t, gamma, b1):
    """Yuan et al. (2024), algorithm 1 with g_{t-1} as kept: MARS-approx."""
    c = g + gamma * b1 / (1 - b1) * (g - s.get("previous", g))
    s["previous"], s["count"] = g, t
    return c / max(1.0, norm(c))


def mars_adamw(g, p, s, t, learning_rate, weight_decay, gamma, b1, b2, eps):
    """Algorithm 2."""
    c, adam = mars(g, p, s, t, gamma, b1), s.setdefault("_adam", {})
    u = links.adam(c, p, adam, t, b1, b2, eps, 0.0)
    s["mu"], s["nu"] = adam["mu"], adam["nu"]
    return -learning_rate * (u + weight_decay * p)


def grokfast(g, p, s, t, alpha, lamb):
    """Lee et al. (2024), Grokfast-EMA."""
    s["mu"] = alpha * s.get("mu", g) + (1 - alpha) * g
    return g + lamb * s["mu"]


def corrected_decay(g, p, s, t, weight_decay, learning_rate, max_learning_rate=0.0):
    """Defazio (2025), eq. 4, over the rate; 0 is for the largest rate so far."""
    s["count"] = t
    largest = max_learning_rate or max(s.get("max_learning_rate", 0), learning_rate)
    s["max_learning_rate"] = largest
    return g + weight_decay * learning_rate / largest * p


def adamc(g, p, s, t, learning_rate, weight_decay, **h):
    u = links.adam(g, p, s.setdefault("_adam", {}), t, **h)
    u = corrected_decay(u, p, s, t, weight_decay, learning_rate)
    return -learning_rate * u
