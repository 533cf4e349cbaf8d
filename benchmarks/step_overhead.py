"""What a step of our adamw costs against Optax's: fusions, bytes, trace and step time.

python benchmarks/step_overhead.py

Counts come from the optimized HLO of this machine's backend; times are medians over 50
pairs in turn, with the middle half of the ratios in brackets.
"""

import functools
import platform

import jax
import jax.numpy as jnp
import optax
from _timing import paired, spread

import gdjax as gd

PAIRS, STEPS = 50, 5  # steps in one timed sample
RATE = 1e-3


def transformer(width: int = 128, blocks: int = 12) -> dict:
    """The parameter shapes of a GPT-like model: 148 leaves."""
    d = width
    block = {
        "norm_1": {"scale": (d,), "bias": (d,)},
        "qkv": {"kernel": (d, 3 * d), "bias": (3 * d,)},
        "out": {"kernel": (d, d), "bias": (d,)},
        "norm_2": {"scale": (d,), "bias": (d,)},
        "up": {"kernel": (d, 4 * d), "bias": (4 * d,)},
        "down": {"kernel": (4 * d, d), "bias": (d,)},
    }
    shapes = {f"block_{i}": block for i in range(blocks)}
    shapes |= {"embed": (1024, d), "position": (256, d)}
    shapes |= {"norm": {"scale": (d,), "bias": (d,)}}
    is_shape = lambda x: isinstance(x, tuple)
    return jax.tree.map(
        lambda shape: jnp.full(shape, 0.1, float), shapes, is_leaf=is_shape
    )


def many(leaves: int = 1000) -> dict:
    return {f"w_{i}": jnp.full((32, 32), 0.1, float) for i in range(leaves)}


def constant_step(tx):
    def step(params, state, grads):
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return step


def live_step(params, state, grads, rate):
    return constant_step(gd.adamw(rate))(params, state, grads)


def injected_step(tx, params, state, grads, rate):
    state = state._replace(hyperparams={**state.hyperparams, "learning_rate": rate})
    return constant_step(tx)(params, state, grads)


class Contender:
    """A step with its state, compiled with donation."""

    def __init__(self, step, params, state, *rest):
        self.step, self.rest = step, rest
        self.jitted = jax.jit(step, donate_argnums=(0, 1))
        own = jax.tree.map(jnp.copy, (params, state))
        self.compiled = self.jitted.lower(*own, *rest).compile()
        self.carry = own

    def run(self):
        for _ in range(STEPS):
            self.carry = self.compiled(*self.carry, *self.rest)
        return self.carry

    def trace(self):
        # A fresh function: jax would find the trace of the same one in its cache.
        fresh = functools.partial(self.step)
        return jax.jit(fresh).trace(*self.carry, *self.rest) and ()

    @property
    def fusions(self) -> int:
        return (self.compiled.as_text() or "").count(" fusion(")

    @property
    def megabytes(self) -> float:
        return (self.compiled.cost_analysis() or {})["bytes accessed"] / 1e6


def row(name, ours, theirs) -> None:
    for contender in (ours, theirs):
        for _ in range(5):
            jax.block_until_ready(contender.run())
    mine, peer, ratios = paired(ours.run, theirs.run, PAIRS)
    *_, traces = paired(ours.trace, theirs.trace, 11)
    print(
        f"| {name} | {ours.fusions} / {theirs.fusions} "
        f"| {ours.megabytes:.2f} / {theirs.megabytes:.2f} "
        f"| {spread(traces)} | {1e3 * mine / STEPS:.2f} / {1e3 * peer / STEPS:.2f} "
        f"| {spread(ratios)} |"
    )


def main() -> None:
    device = jax.devices()[0]
    print(f"jax {jax.__version__}, optax {optax.__version__}, {device.device_kind},")
    print(f"{platform.processor() or platform.machine()}; each cell ours / Optax's\n")
    print("| adamw | fusions | MB accessed | trace ratio | ms a step | step ratio |")
    print("|---|---|---|---|---|---|")
    for name, params in ("transformer", transformer()), ("1000 leaves", many()):
        leaves = len(jax.tree.leaves(params))
        grads = jax.tree.map(lambda p: 0.01 * p, params)
        mine, peer = gd.adamw(RATE), optax.adamw(RATE)
        row(
            f"{name} ({leaves}), constant rate",
            Contender(constant_step(mine), params, mine.init(params), grads),
            Contender(constant_step(peer), params, peer.init(params), grads),
        )
        rate, injected = jnp.float32(RATE), optax.inject_hyperparams(optax.adamw)(RATE)
        live = Contender(live_step, params, mine.init(params), grads, rate)
        row(
            f"{name} ({leaves}), live rate",
            live,
            Contender(
                functools.partial(injected_step, injected),
                params,
                injected.init(params),
                grads,
                rate,
            ),
        )
        traces = []
        counted = jax.jit(lambda *a: traces.append(a) or live_step(*a))
        for value in (1e-3, 2e-3, 5e-3):
            jax.block_until_ready(counted(*live.carry, grads, jnp.float32(value)))
        print(f"| traces for three live rates: {len(traces)} |" + " |" * 5)


if __name__ == "__main__":
    main()
