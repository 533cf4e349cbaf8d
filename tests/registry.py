"""One line a public transform: how `gd.testing.check` is called on it."""

import functools

import jax.numpy as jnp
import oracles

import gdjax as gd

NAN, INF = float("nan"), float("inf")
UNIT = (1.0, -0.1, NAN, "x", True, jnp.ones(2))  # refused where [0, 1) is allowed
SIZE = (-1.0, NAN, INF, None)  # refused where [0, inf) is allowed
RATE = (-1.0, NAN, INF, None, -INF)
NO_COUNT = (1.5, True, "x", None, 2**31, jnp.int32(1))
ADAM = dict(b1=0.8, b2=0.95, eps=1e-2, eps_root=1e-3)
BAD_ADAM = dict(b1=UNIT, b2=UNIT, eps=SIZE, eps_root=SIZE)
ONE_RATE = dict(learning_rate=0.1)


def heavy_ball(decay):
    def rule(g, p, step, velocity):
        velocity = decay * velocity + g
        return velocity, velocity

    return gd.from_rule(rule, velocity=jnp.zeros_like)


def swa(learning_rate, start_step=3, every=2):
    return gd.swa(gd.sgd(learning_rate), start_step, every)


def entry(make, oracle, numbers, bad=None, **more):
    return dict(make=make, oracle=oracle, numbers=numbers, bad=bad or {}, **more)


nesterov = functools.partial(gd.trace, nesterov=True)
nadam = functools.partial(gd.scale_by_adam, nesterov=True)
CHECKS = {
    "add_decayed_weights": entry(
        gd.add_decayed_weights,
        oracles.decayed_weights,
        dict(weight_decay=0.1),
        dict(weight_decay=SIZE),
        decays=True,
    ),
    "clip_by_global_norm": entry(
        gd.clip_by_global_norm,
        oracles.by_global_norm,
        dict(max_norm=0.3),
        dict(max_norm=(0.0, *SIZE)),
    ),
    "from_rule": entry(heavy_ball, oracles.heavy_ball_rule, dict(decay=0.8)),
    "scale_by_adam": entry(gd.scale_by_adam, oracles.adam, ADAM, BAD_ADAM),
    "scale_by_adam, Nesterov": entry(nadam, oracles.nadam, ADAM, BAD_ADAM),
    "scale_by_learning_rate": entry(
        gd.scale_by_learning_rate,
        oracles.learning_rate,
        ONE_RATE,
        dict(learning_rate=RATE),
        sign=-1,
    ),
    "trace": entry(gd.trace, oracles.trace, dict(decay=0.8), dict(decay=UNIT)),
    "trace, Nesterov": entry(
        nesterov, oracles.nesterov, dict(decay=0.8), dict(decay=UNIT)
    ),
    "swa": entry(
        swa,
        oracles.swa_of_sgd,
        ONE_RATE,
        dict(start_step=(-1, *NO_COUNT), every=(0, *NO_COUNT)),
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
