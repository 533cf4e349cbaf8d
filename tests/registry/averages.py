"""The averages of the iterates, and the two that also step by them."""

import functools

import jax.numpy as jnp
from oracles import averages as oracles

import gdjax as gd
from registry.values import INF, NAN, NO_COUNT, RATE, SIZE, UNIT, entry, step


def swa(learning_rate, start_step=3, every=2):
    return gd.swa(gd.sgd(learning_rate), start_step, every)


def ema_params(decay, **more):
    return gd.ema_params(gd.sgd(0.1), decay, **more)


def lawa(learning_rate, every=2, window=3, start_step=2):
    return gd.lawa(gd.sgd(learning_rate), every, window, start_step=start_step)


def snapshots(learning_rate, every=2, keep=3, start_step=2):
    return gd.snapshots(gd.sgd(learning_rate), every, keep, start_step=start_step)


def lookahead(learning_rate, slow_step_size, momentum, sync_period=3, **more):
    fast = gd.sgd(learning_rate, momentum=momentum)
    return gd.lookahead(fast, sync_period, slow_step_size, **more)


def lookahead_anew(slow_step_size, momentum):
    """At a fixed rate: a schedule inside starts anew too."""
    return lookahead(0.1, slow_step_size, momentum, reset_state=True)


SAME = object()


def free(rate, b1=0.9, weight_lr_power=2.0, learning_rate=SAME, **more):
    """Under `oracles.warmed`: at a rate that never rises all weights are one."""

    def warmed(count):
        count = jnp.asarray(count, float)
        return rate * jnp.minimum((count + 1) / 20, 1) / (1 + 0.01 * count)

    given = warmed if learning_rate is SAME else learning_rate
    return gd.schedule_free(gd.sgd(warmed), given, b1, weight_lr_power, **more)


# Checked at 0.1 alone: at its default of 0.0025 parameters of size 1 travel 0.03, and
# what they are rounded by, of plain SGD too, is a 1e-5th of that.
free_adamw = functools.partial(gd.schedule_free_adamw, learning_rate=0.1)


KEPT = dict(start_step=(-1, *NO_COUNT), every=(0, *NO_COUNT))
B1 = (0.0, 1.1, -0.1, NAN, "x", True, None, jnp.ones(2))
FREE = dict(b1=B1, weight_lr_power=SIZE, state_dtype=(int, "f32"))
STEPS = dict(warmup_steps=(-1, *(x for x in NO_COUNT if x is not None)))
CHECKS = {
    "swa": step(swa, oracles.swa_of_sgd, bad=KEPT),
    "ema_params": entry(
        ema_params,
        oracles.ema_of_sgd,
        dict(decay=0.9),
        dict(
            decay=UNIT,
            debias=(1, "no", None),
            warmup=(0.9, -1, NAN, INF, "x", True, jnp.ones(2)),
        ),
        sign=-1,
    ),
    "ema_params, no debias": entry(
        functools.partial(ema_params, debias=False),
        functools.partial(oracles.ema_of_sgd, debias=False),
        dict(decay=0.97),
        sign=-1,
    ),
    "ema_params, warmup": entry(
        functools.partial(ema_params, warmup=3),
        functools.partial(oracles.ema_of_sgd, warmup=3),
        dict(decay=0.95),
        sign=-1,
    ),
    "lawa": step(lawa, oracles.recorded_sgd, bad=dict(window=(0, *NO_COUNT), **KEPT)),
    "snapshots": step(
        snapshots, oracles.recorded_sgd, bad=dict(keep=(0, *NO_COUNT), **KEPT)
    ),
    "lookahead": step(
        lookahead,
        oracles.lookahead_of_sgd,
        dict(slow_step_size=0.4, momentum=0.8),
        dict(
            sync_period=(0, *NO_COUNT),
            slow_step_size=(1.1, -0.1, NAN, "x", True, None, jnp.ones(2)),
            reset_state=(1, "no", None),
        ),
    ),
    "lookahead, reset_state": entry(
        lookahead_anew,
        functools.partial(oracles.lookahead_of_sgd, learning_rate=0.1, resets=True),
        dict(slow_step_size=0.4, momentum=0.8),
        sign=-1,
    ),
    "schedule_free": entry(
        free,
        oracles.schedule_free_of_sgd,
        dict(rate=0.1, b1=0.8, weight_lr_power=1.5),
        dict(learning_rate=RATE, **FREE),
        sign=-1,
    ),
    "schedule_free_sgd": step(
        gd.schedule_free_sgd,
        oracles.schedule_free_sgd,
        dict(b1=0.8, weight_decay=0.1),
        dict(weight_decay=(-1.0, NAN, INF), **STEPS, **FREE),
        decays=True,
    ),
    "schedule_free_adamw": step(
        free_adamw,
        oracles.schedule_free_adamw,
        dict(b1=0.8, b2=0.95, eps=1e-2, weight_decay=0.1),
        dict(weight_decay=SIZE, b2=UNIT, eps=SIZE, **STEPS, **FREE),
        decays=True,
    ),
}
# What they are made of is checked, and in tests/averaging.
LONG = {"lawa", "schedule_free_adamw", "schedule_free_sgd", "snapshots"}
