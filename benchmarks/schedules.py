"""What a schedule costs inside a compiled step against Optax's of the same name.

python benchmarks/schedules.py

The step is `params - schedule(count) * grads`, for one leaf and for the 148 leaves of a
transformer. Counted in the optimized HLO of this machine's backend: fusions, and the
instructions inside and outside of them. The error is the largest distance from the
values in f64, over the largest of these, at the first 2000 steps and around 2^24. The
ratio is that of the time of ten steps on a leaf of 500,000, in turn, 15 pairs.
"""

import platform
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _timing import paired, spread
from step_overhead import transformer

import gdjax as gd

CYCLE = dict(init_value=0.0, peak_value=1e-3, warmup_steps=100, decay_steps=500)
DROPS = {300: 0.5, 600: 0.4, 850: 0.1}
ARGUMENTS = {
    "constant_schedule": (1e-3,),
    "linear_schedule": (1e-3, 1e-5, 1000, 100),
    "polynomial_schedule": (1e-3, 1e-5, 2.5, 1000, 100),
    "exponential_decay": (1e-3, 1, 0.999),
    "piecewise_constant_schedule": (1e-3, DROPS),
    "piecewise_interpolate_schedule": ("cosine", 1e-3, DROPS),
    "cosine_decay_schedule": (1e-3, 1000, 0.1),
    "warmup_constant_schedule": (0.0, 1e-3, 100),
    "warmup_cosine_decay_schedule": (0.0, 1e-3, 100, 1000),
    "warmup_exponential_decay_schedule": (0.0, 1e-3, 100, 1, 0.999),
    "linear_onecycle_schedule": (1000, 1e-3),
    "cosine_onecycle_schedule": (1000, 1e-3),
    "sgdr_schedule": ([CYCLE] * 4,),
}
STEPS = np.append(np.arange(2000), 2**24 + np.arange(-50, 50)).astype(np.int32)


def joined(module) -> optax.Schedule:
    parts = (
        module.linear_schedule(0.0, 1e-3, 100),
        module.exponential_decay(1e-3, 9, 0.9),
    )
    return module.join_schedules(parts, [100])


def compiled(schedule: optax.Schedule, params):
    def step(params, grads, count):
        rate = schedule(count)
        return jax.tree.map(lambda p, g: p - rate * g, params, grads)

    return jax.jit(step).lower(params, params, jnp.int32(0)).compile()


def counts(schedule: optax.Schedule, params) -> tuple[int, int]:
    """Fusions, and instructions without parameters and constants."""
    text = compiled(schedule, params).as_text() or ""
    done = re.findall(r" = \S+ ([a-z-]+)\(", text)
    idle = sum(map(done.count, ("parameter", "constant", "tuple", "bitcast")))
    return done.count("fusion"), len(done) - idle


def time_ratio(ours: optax.Schedule, theirs: optax.Schedule) -> str:
    params, count = jnp.ones((1000, 500)), jnp.int32(77)

    def ten(schedule):
        step = compiled(schedule, params)
        return lambda: [step(params, params, count) for _ in range(10)]

    *_, ratios = paired(ten(ours), ten(theirs), 15)
    return spread(ratios)


def error(schedule: optax.Schedule, want: np.ndarray) -> str:
    values = np.asarray(jax.jit(jax.vmap(schedule))(STEPS), np.float64)
    return f"{np.abs(values - want).max() / np.abs(want).max():.0e}"


def main() -> None:
    print(f"jax {jax.__version__}, optax {optax.__version__}, {platform.machine()};")
    print("each cell ours / Optax's\n")
    print("| schedule | fusions | instructions | 148 leaves: fusions | error | time |")
    print("|---|---|---|---|---|---|")
    leaf, leaves = jnp.ones((64, 64)), transformer()
    makes = {n: lambda m, n=n, a=a: getattr(m, n)(*a) for n, a in ARGUMENTS.items()}
    for name, make in {**makes, "join_schedules": joined}.items():
        ours, theirs = make(gd), make(optax)
        (f, i), (g, j) = counts(ours, leaf), counts(theirs, leaf)
        (many, _), (peer, _) = counts(ours, leaves), counts(theirs, leaves)
        with jax.enable_x64(True):
            want = np.asarray(jax.jit(jax.vmap(make(gd)))(STEPS))
        row = f"| `{name}` | {f} / {g} | {i} / {j} | {many} / {peer} "
        row += f"| {error(ours, want)} / {error(theirs, want)} "
        print(f"{row}| {time_ratio(ours, theirs)} |", flush=True)


if __name__ == "__main__":
    main()
