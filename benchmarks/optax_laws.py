"""Which laws Optax's own optimizers break: the table in docs/laws.md, printed.

python benchmarks/optax_laws.py
"""

import contextlib
import io
import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")

import numpy as np
import optax

import gdjax as gd

NAN, INF = float("nan"), float("inf")
UNIT, SIZE = (1.0, -0.1, NAN, "x"), (-1.0, NAN, INF)


def adamw(g, p, s, t, learning_rate, b1, b2, eps, eps_root, weight_decay):
    s["mu"] = b1 * s.get("mu", 0) + (1 - b1) * g
    s["nu"] = b2 * s.get("nu", 0) + (1 - b2) * abs(g) ** 2
    m, v = s["mu"] / (1 - b1**t), s["nu"] / (1 - b2**t)
    u = m / (np.sqrt(v + eps_root) + eps)
    return -learning_rate * (u + weight_decay * p)


def rmsprop(g, p, s, t, learning_rate, decay, eps):
    s["nu"] = decay * s.get("nu", 0) + (1 - decay) * abs(g) ** 2
    return -learning_rate * g / np.sqrt(s["nu"] + eps)


def lion(g, p, s, t, learning_rate, b1, b2, weight_decay):
    u = np.sign(b1 * s.get("mu", 0) + (1 - b1) * g)
    s["mu"] = b2 * s.get("mu", 0) + (1 - b2) * g
    return -learning_rate * (u + weight_decay * p)


LAWS = range(1, 10)
MARKS = {"holds": "holds", "broken": "**broken**", "not checked": ""}
MOMENTS = dict(b1=0.8, b2=0.95)
CALLS = {
    optax.adamw: dict(
        numbers=dict(
            learning_rate=0.1, **MOMENTS, eps=1e-2, eps_root=1e-3, weight_decay=0.1
        ),
        bad=dict(learning_rate=SIZE, b1=UNIT, b2=UNIT, eps=SIZE, weight_decay=SIZE),
        oracle=adamw,
        decays=True,
    ),
    optax.rmsprop: dict(
        numbers=dict(learning_rate=0.1, decay=0.8, eps=1e-2),
        bad=dict(learning_rate=SIZE, decay=UNIT, eps=SIZE),
        oracle=rmsprop,
    ),
    optax.lion: dict(
        numbers=dict(learning_rate=0.1, **MOMENTS, weight_decay=0.1),
        bad=dict(learning_rate=SIZE, b1=UNIT, b2=UNIT, weight_decay=SIZE),
        oracle=lion,
        decays=True,
    ),
    optax.contrib.muon: dict(
        numbers=dict(learning_rate=0.1, beta=0.8, eps=1e-2),
        bad=dict(learning_rate=SIZE, beta=UNIT, eps=SIZE),
    ),
}


def main() -> None:
    print("| | " + " | ".join(map(str, LAWS)) + " |")
    print("|---" * (1 + len(LAWS)) + "|")
    reports = []
    for make, call in CALLS.items():
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            reports.append(gd.testing.check(make, sign=-1, **call))
        marks = [MARKS[out.verdict] for out in reports[-1].outcomes.values()]
        print(f"| `{reports[-1].name}` | " + " | ".join(marks) + " |")
    print()
    for report in reports:
        for law in report.broken:
            print(f"- `{report.name}`, law {law}: {report.outcomes[law].sentence}")


if __name__ == "__main__":
    main()
