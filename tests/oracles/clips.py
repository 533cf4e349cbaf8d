"""Float64 oracles of clips, for one leaf: (g, p, state, t) -> update."""

import numpy as np


def norm_of(x):
    return np.sqrt(np.sum(abs(x) ** 2))


def jointly(g, s, bound):
    """One norm for all, bounded; says what the state should."""
    norm = norm_of(g)
    s["unclipped_norm"] = norm
    s["clip_factor"] = bound / norm if norm > bound else 1.0
    s["num_clipped"] = s.get("num_clipped", 0) + (norm > bound)
    return g * s["clip_factor"]


def said(s, sizes, bound):
    """The largest of `sizes`, and how many of them are beyond the bound."""
    s["unclipped_max"] = np.max(sizes)
    s["clipped_share"] = np.mean(np.asarray(sizes) > bound)
    s["num_clipped"] = s.get("num_clipped", 0) + (s["clipped_share"] > 0)


def by_global_norm(g, p, s, t, max_norm):
    return jointly(g, s, max_norm)


def by_block_norm(g, p, s, t, max_norm):
    said(s, [norm_of(g)], max_norm)
    return g * min(1, max_norm / norm_of(g))


def by_block_rms(g, p, s, t, threshold):
    rms = np.sqrt(np.mean(abs(g) ** 2))
    said(s, [rms], threshold)
    return g * min(1, threshold / rms)


def normalized(g, p, s, t):
    return g / norm_of(g)


def by_value(g, p, s, t, max_delta):
    parts = g.view(np.float64)
    said(s, abs(parts), max_delta)
    del s["unclipped_max"]
    return np.clip(parts, -max_delta, max_delta).view(g.dtype)


def adaptive(g, p, s, t, clipping, eps=1e-3):
    """A vector is one unit."""
    ratio = norm_of(g) / max(norm_of(p), eps)
    said(s, [ratio], clipping)
    return g * min(1, clipping / ratio)


def centralized(g, p, s, t):
    return g - np.mean(g)


SEEN = [0.5, 1.5] * 8  # norms before the first


def zclip(g, p, s, t, z_threshold, decay):
    norms, norm, t = s.setdefault("_norms", SEEN[:]), norm_of(g), t + len(SEEN)
    if t <= 18:
        norms.append(norm)
        s["norm_mean"], s["norm_std"] = np.mean(norms), np.std(norms)
        s["count"] = t
        return jointly(g, s, np.inf)
    mean, var = s["norm_mean"], s["norm_std"] ** 2
    z, bound = (norm - mean) / s["norm_std"], np.inf
    if z > z_threshold:
        bound = mean + z_threshold**2 / z * s["norm_std"]
    norm = min(norm, bound)
    mean = decay * mean + (1 - decay) * norm
    var = decay * var + (1 - decay) * (norm - mean) ** 2
    s["norm_mean"], s["norm_std"], s["count"] = mean, np.sqrt(var), t
    return jointly(g, s, bound)


def autoclip(g, p, s, t, percentile, window=8):
    norms = s.setdefault("_norms", [])
    norms.append(norm_of(g))
    s["count"] = t
    ring = s.setdefault("norms", np.zeros(window))
    ring[(t - 1) % window] = norms[-1]
    return jointly(g, s, np.percentile(norms[-window:], percentile))
