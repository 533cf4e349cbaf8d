"""The first links, and the optimizers made of them."""

import functools

import jax
import jax.numpy as jnp
import optax
from oracles import links as oracles

import gdjax as gd
from registry.values import (
    ADAM,
    BAD_ADAM,
    INF,
    NAN,
    NO_COUNT,
    NO_INTEGER,
    ONE_RATE,
    OPEN,
    RATE,
    SIZE,
    UNIT,
    entry,
)


def heavy_ball(decay):
    def rule(g, p, step, velocity):
        velocity = decay * velocity + g
        return velocity, velocity

    return gd.from_rule(rule, velocity=jnp.zeros_like)


def decaying(first):
    return gd.scale_by_schedule(lambda count: first / (1 + count))


def accumulate(momentum, every_k=3, **more):
    """Its schedules count steps, not updates: the rate stands still."""
    return gd.accumulate(gd.sgd(0.1, momentum=momentum), every_k, **more)


def plateau(factor=0.1, rtol=1e-4, atol=0.0, min_scale=1e-3, stop_below=5e-3, **more):
    """It watches the first number of the gradient, as nobody passes a value."""
    more = dict(patience=1, cooldown=1, min_scale=min_scale) | more
    tx = gd.reduce_on_plateau(
        factor, rtol=rtol, atol=atol, stop_below=stop_below, **more
    )

    def update(g, state, params=None, **extra):
        numbers = [x.ravel()[0].real for x in jax.tree.leaves(g) if x.size]
        value = numbers[0] if numbers else 0.0
        return tx.update(g, state, params, value=value, **extra)

    return optax.GradientTransformationExtraArgs(tx.init, update)


def two_groups(decay, weight_decay, partition=gd.partition_by_path):
    """Every tree twice, a copy for each group: so both have parameters in any tree."""
    heavy, light = gd.trace(decay), gd.add_decayed_weights(weight_decay)
    tx = partition([("^heavy", heavy), ("", light)])
    twice = lambda x: {"heavy": x, "light": x}

    def update(g, state, params=None, **extra):
        u, state = tx.update(twice(g), state, twice(params), **extra)
        return jax.tree.map(lambda a, b: a + 2 * b, u["heavy"], u["light"]), state

    return optax.GradientTransformationExtraArgs(lambda p: tx.init(twice(p)), update)


nesterov = functools.partial(gd.trace, nesterov=True)
PLATEAU = dict(factor=0.7, rtol=0.75, atol=0.03, min_scale=0.4, stop_below=0.45)
nadam = functools.partial(gd.scale_by_adam, nesterov=True)
CHECKS = {
    "add_decayed_weights": entry(
        gd.add_decayed_weights,
        oracles.decayed_weights,
        dict(weight_decay=0.1),
        dict(weight_decay=SIZE),
        decays=True,
    ),
    "from_rule": entry(heavy_ball, oracles.heavy_ball_rule, dict(decay=0.8)),
    "partition_by_path": entry(
        two_groups,
        oracles.two_groups,
        dict(decay=0.8, weight_decay=0.1),
        decays=True,
    ),
    "reduce_on_plateau": entry(
        plateau,
        oracles.plateau,
        PLATEAU,
        dict(
            factor=OPEN,
            patience=(0, *NO_INTEGER),
            rtol=UNIT,
            atol=SIZE,
            cooldown=NO_INTEGER,
            accumulation_size=(0, *NO_INTEGER),
            min_scale=(1.1, 0.45, *SIZE),
            stop_below=(0.0, 1.1, 0.4, NAN, "x"),
            mode=("maximum", None),
        ),
    ),
    "reduce_on_plateau, max": entry(
        functools.partial(plateau, mode="max"),
        functools.partial(oracles.plateau, better=-1),
        dict(factor=0.7, rtol=0.01, atol=8e-3, min_scale=0.6, stop_below=0.65),
    ),
    "scale": entry(
        gd.scale,
        oracles.scale,
        dict(step_size=0.3),
        dict(step_size=(NAN, INF, "x", True, None, jnp.ones(2))),
    ),
    "scale_by_adam": entry(gd.scale_by_adam, oracles.adam, ADAM, BAD_ADAM),
    "scale_by_adam, Nesterov": entry(nadam, oracles.nadam, ADAM, BAD_ADAM),
    "scale_by_learning_rate": entry(
        gd.scale_by_learning_rate,
        oracles.learning_rate,
        ONE_RATE,
        dict(learning_rate=RATE),
        sign=-1,
    ),
    "scale_by_schedule": entry(
        decaying,
        oracles.decaying,
        dict(first=0.3),
    ),
    "trace": entry(gd.trace, oracles.trace, dict(decay=0.8), dict(decay=UNIT)),
    "trace, Nesterov": entry(
        nesterov, oracles.nesterov, dict(decay=0.8), dict(decay=UNIT)
    ),
    "accumulate": entry(
        accumulate,
        oracles.accumulated_sgd,
        dict(momentum=0.8),
        dict(
            every_k=(0, *NO_COUNT),
            accumulator_dtype=(int, "f32"),
            use_mean=(1, "no", None),
        ),
        sign=-1,
    ),
    "sgd": entry(
        gd.sgd,
        oracles.sgd,
        dict(momentum=0.8, **ONE_RATE),
        dict(learning_rate=RATE, momentum=UNIT),
        sign=-1,
    ),
    "adam": entry(
        gd.adam,
        oracles.adamw,
        dict(**ONE_RATE, **ADAM),
        dict(learning_rate=RATE, **BAD_ADAM),
        sign=-1,
    ),
    "adamw": entry(
        gd.adamw,
        oracles.adamw,
        dict(weight_decay=0.1, **ONE_RATE, **ADAM),
        dict(learning_rate=RATE, weight_decay=SIZE, **BAD_ADAM),
        sign=-1,
        decays=True,
    ),
}
