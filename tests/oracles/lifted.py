"""Float64 oracles of the rules that come from Optax, as `oracles.links` has them."""

import numpy as np
from oracles.links import nadam


def norm(x):
    return np.sqrt(np.sum(abs(x) ** 2))


def apply_every(g, p, s, t):
    """k = 3."""
    s["grad_acc"] = (s.get("grad_acc", 0) if t % 3 != 1 else 0) + g
    s["count"] = t % 3
    return s["grad_acc"] if t % 3 == 0 else 0 * g


def by_update_norm(g, p, s, t, scale_factor, eps):
    return scale_factor * g / (norm(g) + eps)


def by_block_norm(g, p, s, t, min_scale):
    return g * max(norm(p), min_scale)


def by_block_rms(g, p, s, t, min_scale):
    return g * max(norm(p) / np.sqrt(p.size), min_scale)


def optimistic(g, p, s, t, alpha, beta):
    before = s.get("previous_gradient", g)
    s["previous_gradient"] = g
    return (alpha + beta) * g - beta * before


def optimistic_descent(g, p, s, t, learning_rate, alpha, beta):
    return -learning_rate * optimistic(g, p, s, t, alpha, beta)


def optimistic_adam(g, p, s, t, learning_rate, alpha, beta, **h):
    direction = nadam(g, p, s, t, **h)
    del s["mu_weight"], s["nu_weight"]  # Optax has them not
    return -learning_rate * optimistic(direction, p, s, t, alpha, beta)


def optimistic_adam_v1(g, p, s, t, rate, optimism, **h):
    return optimistic_adam(g, p, s, t, 1.0, rate, optimism, **h)


def acprop(g, p, s, t, b1, b2, eps, eps_root):
    """Divided by what was known before this gradient, by 1 at the first."""
    mean, square = s.get("mu", 0), s.get("nu", 0)
    s["mu"] = b1 * mean + (1 - b1) * g
    s["nu"] = b2 * square + (1 - b2) * abs(g - mean) ** 2 + eps_root
    known = square / (1 - b2 ** (t - 1)) if t > 1 else 1.0
    return g / (np.sqrt(known) + eps)


def acprop_step(g, p, s, t, learning_rate, weight_decay=0.0, **h):
    return -learning_rate * (acprop(g, p, s, t, **h) + weight_decay * p)


def simplified_ademamix(g, p, s, t, b1, b2, alpha, eps, eps_root):
    s["t"], s["m"] = t, b1 * s.get("m", 0) + g
    s["n"] = b2 * s.get("n", 0) + (1 - b2) * g**2
    return (s["m"] + alpha * g) / (np.sqrt(s["n"] / (1 - b2**t) + eps_root) + eps)


def simplified_ademamix_step(g, p, s, t, learning_rate, weight_decay, **h):
    return -learning_rate * (simplified_ademamix(g, p, s, t, **h) + weight_decay * p)


def sm3(g, p, s, t, b1, eps):
    """Of a vector it is AdaGrad, with a mean of the directions."""
    s["mu"] = s.get("mu", 0) + g**2
    s["nu"] = b1 * s.get("nu", 0) + (1 - b1) * g / np.sqrt(s["mu"] + eps)
    return s["nu"]


def sm3_step(g, p, s, t, rate, momentum):
    return -rate * sm3(g, p, s, t, momentum, 1e-8)


def fromage(g, p, s, t, learning_rate, min_norm):
    ratio = max(norm(p), min_norm) / max(norm(g), min_norm)
    return (p - learning_rate * ratio * g) / np.sqrt(1 + learning_rate**2) - p


def gradient_descent(g, p, s, t, learning_rate):
    return -learning_rate * g


def polyak(g, p, s, t, max_learning_rate, f_min, eps):
    """Of the value that `registry.lifted.valued` passes: |g| of the first number."""
    return g * min((abs(g[0]) - f_min) / (norm(g) ** 2 + eps), max_learning_rate)


def polyak_sgd(g, p, s, t, scaling, **h):
    # The gradient is scaled first, and its norm with it.
    first = abs(g[0])
    g = scaling * g
    gap, square = first - h["f_min"], norm(g) ** 2 + h["eps"]
    return -g * min(gap / square, h["max_learning_rate"])


def dog(g, p, s, t, learning_rate, eps):
    s.setdefault("init_params", p)
    s["max_dist"] = max(
        s.get("max_dist", 1 * (1 + norm(s["init_params"]))),
        norm(p - s["init_params"]),
    )
    s["sum_sq_norm_grads"] = s.get("sum_sq_norm_grads", 0) + norm(g) ** 2
    return -learning_rate * s["max_dist"] * g / np.sqrt(s["sum_sq_norm_grads"] + eps)


def dowg(g, p, s, t, learning_rate, init_estim_sq_dist, eps):
    s.setdefault("init_params", p)
    square = norm(p - s["init_params"]) ** 2
    d = s["estim_sq_dist"] = max(s.get("estim_sq_dist", init_estim_sq_dist), square)
    v = s["weighted_sq_norm_grads"] = (
        s.get("weighted_sq_norm_grads", 0) + d * norm(g) ** 2
    )
    return -learning_rate * d * g / (np.sqrt(v) + eps)


def distance_over_gradients(g, p, s, t, reps_rel, eps, global_scale):
    s.setdefault("init_params", p)
    s["max_dist"] = max(
        s.get("max_dist", reps_rel * (1 + norm(p))), norm(p - s["init_params"])
    )
    s["grad_sum_of_squares"] = s.get("grad_sum_of_squares", 0) + norm(g) ** 2
    return global_scale * s["max_dist"] * g / np.sqrt(s["grad_sum_of_squares"] + eps)


def madgrad(g, p, s, t, learning_rate, momentum, eps, weight_decay=0.0):
    g = g + weight_decay * p
    s.setdefault("x0", p)
    weight = (learning_rate + eps) * np.sqrt(t)
    s["grad_sum_sq"] = s.get("grad_sum_sq", 0) + weight * g**2
    s["s"] = s.get("s", 0) + weight * g
    z = s["x0"] - s["s"] / (np.cbrt(s["grad_sum_sq"]) + eps)
    return (1 - momentum) * z + momentum * p - p


def cocob(g, p, s, t, alpha, eps, learning_rate=1.0, weight_decay=0.0):
    g = learning_rate * (g + weight_decay * p)
    x0 = s.setdefault("init_particles", p)
    largest = s["scale"] = np.maximum(s.get("scale", eps), abs(g))
    total = s["subgradients"] = s.get("subgradients", 0) + abs(g)
    s["reward"] = np.maximum(s.get("reward", 0) - g * (p - x0), 0)
    s["cumulative_gradients"] = s.get("cumulative_gradients", 0) - g
    bet = s["cumulative_gradients"] / (
        largest * np.maximum(total + largest, alpha * largest)
    )
    return x0 + bet * (largest + s["reward"]) - p


def dadapt_adamw(g, p, s, t, learning_rate, eps, estim_lr0, weight_decay):
    """b1 = 0.9, b2 = 0.999."""
    if t == 1:
        s.update(exp_avg=0 * g, exp_avg_sq=0 * g, grad_sum=0 * g)
        s.update(estim_lr=estim_lr0, numerator_weighted=0.0)
    b1, b2, root = 0.9, 0.999, np.sqrt(0.999)
    rate = s["estim_lr"] * learning_rate * np.sqrt(1 - b2**t) / (1 - b1**t)
    inner = np.sum(g * s["grad_sum"] / (np.sqrt(s["exp_avg_sq"]) + eps))
    s["exp_avg"] = b1 * s["exp_avg"] + (1 - b1) * rate * g
    s["exp_avg_sq"] = b2 * s["exp_avg_sq"] + (1 - b2) * g**2
    s["grad_sum"] = root * s["grad_sum"] + (1 - root) * rate * g
    s["numerator_weighted"] = root * s["numerator_weighted"] + (1 - root) * rate * inner
    guess = s["numerator_weighted"] / ((1 - root) * np.sum(abs(s["grad_sum"])))
    s["estim_lr"] = max(s["estim_lr"], guess)
    direction = s["exp_avg"] / (np.sqrt(s["exp_avg_sq"]) + eps)
    return -weight_decay * rate * p - direction


def momo(g, p, s, t, learning_rate, beta, lower_bound, weight_decay):
    """The averages start at the first gradient and value."""
    b = beta if t > 1 else 0.0
    s["exp_avg"] = b * s.get("exp_avg", 0) + (1 - b) * g
    s["barf"] = b * s.get("barf", 0) + (1 - b) * abs(g[0])
    s["gamma"] = b * s.get("gamma", 0) + (1 - b) * (g @ p)
    return momo_step(p, s, s["exp_avg"], 1.0, learning_rate, lower_bound, weight_decay)


def momo_adam(g, p, s, t, learning_rate, b1, b2, eps, lower_bound, weight_decay):
    s["exp_avg"] = b1 * s.get("exp_avg", 0) + (1 - b1) * g
    s["exp_avg_sq"] = b2 * s.get("exp_avg_sq", 0) + (1 - b2) * g**2
    s["barf"] = b1 * s.get("barf", 0) + (1 - b1) * 3 * abs(g[0])
    s["gamma"] = b1 * s.get("gamma", 0) + (1 - b1) * (g @ p)
    direction = s["exp_avg"] / (eps + np.sqrt(s["exp_avg_sq"] / (1 - b2**t)))
    weight = 1 - b1**t
    return momo_step(p, s, direction, weight, learning_rate, lower_bound, weight_decay)


def momo_step(p, s, direction, weight, learning_rate, lower_bound, weight_decay):
    shrink = 1 + learning_rate * weight_decay
    square = s["exp_avg"] @ direction
    gap = shrink * (s["barf"] - weight * lower_bound - s["gamma"]) + s["exp_avg"] @ p
    # Optax makes no step where the square is below the eps of the default float.
    polyak = max(gap, 0) / square if square > 1.2e-7 else 0.0
    return p / shrink - p - min(learning_rate / weight, polyak) * direction
