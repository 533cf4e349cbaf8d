"""Float64 oracle of `guard`, see `oracles.links`."""

import numpy as np
from oracles import links

LARGEST = 2.0**63.5  # of |g|, whose square has room in f32


def guarded_sgd(g, p, s, t, momentum):
    """Heavy ball that leaves out every gradient it cannot square, or that is NaN."""
    s.setdefault("trace", 0 * g)
    s.setdefault("num_skipped", 0)
    if g[0].real < -1 or not np.linalg.norm(g) < LARGEST:
        s["num_skipped"] += 1
        s["num_consecutive"] = s.get("num_consecutive", 0) + 1
        return 0 * g
    s["num_consecutive"] = 0
    return links.sgd(g, p, s, t, 0.1, momentum)
