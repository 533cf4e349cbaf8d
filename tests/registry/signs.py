"""Rules that correct Adam's mean square, and those that look at signs alone."""

import functools

from oracles import signs as oracles

import gdjax as gd
from registry.values import (
    ADAM,
    BAD_ADAM,
    INF,
    NAN,
    OPEN,
    POSITIVE,
    RATE,
    SIZE,
    UNIT,
    entry,
    step,
)

MODES = dict(mode=("soft", None), smooth_beta=POSITIVE)
RADAM, BAD_RADAM = dict(threshold=4.5), dict(threshold=(3.9, NAN, INF, None))
ADAN, BAD_ADAN = dict(b3=0.9, **ADAM), dict(b3=UNIT, **BAD_ADAM)
LION, BAD_LION = dict(b1=0.7, b2=0.9), dict(b1=UNIT, b2=UNIT, mu_dtype=(int,), **MODES)
RPROP = dict(
    rate=0.1, eta_minus=0.7, eta_plus=1.3, min_step_size=0.06, max_step_size=0.12
)
BAD_RPROP = dict(
    learning_rate=(*RATE, lambda count: 0.1),
    eta_minus=OPEN,
    eta_plus=(0.9, NAN, INF, None),
    min_step_size=(0.2, *SIZE),
    max_step_size=(0.05, *POSITIVE),
)
YOGI = dict(b1=0.8, b2=0.95, eps=1e-2)
BAD_YOGI = dict(b1=UNIT, b2=UNIT, eps=SIZE)
ROOTED = dict(eps_root=1e-3, initial_accumulator_value=1e-2)
BAD_ROOTED = dict(eps_root=SIZE, initial_accumulator_value=SIZE)
DECAY, BAD_DECAY = dict(weight_decay=0.1), dict(weight_decay=SIZE)


def rprop(rate, make=gd.rprop, learning_rate=..., **more):
    """The first step size under another name, as it takes no schedule."""
    return make(rate if learning_rate is ... else learning_rate, **more)


def rprop_direction(g, p, s, t, rate, **h):
    return oracles.rprop(g, p, s, t, rate, **h)


def rprop_step(g, p, s, t, rate, **h):
    return -oracles.rprop(g, p, s, t, rate, **h)


of = lambda f, **options: functools.partial(f, **options)
CHECKS = {
    "scale_by_radam": entry(
        gd.scale_by_radam, oracles.radam, ADAM | RADAM, BAD_ADAM | BAD_RADAM
    ),
    "radam": step(
        of(gd.radam, nesterov=True),
        oracles.step(of(oracles.radam, nesterov=True)),
        ADAM | RADAM,
        BAD_ADAM | BAD_RADAM,
    ),
    "scale_by_belief": entry(gd.scale_by_belief, oracles.belief, ADAM, BAD_ADAM),
    "adabelief": step(
        of(gd.adabelief, nesterov=True),
        oracles.step(of(oracles.belief, nesterov=True)),
        ADAM,
        BAD_ADAM,
    ),
    "scale_by_yogi": entry(
        gd.scale_by_yogi, oracles.yogi, YOGI | ROOTED, BAD_YOGI | BAD_ROOTED
    ),
    "yogi": step(gd.yogi, oracles.step(oracles.yogi), YOGI, BAD_YOGI),
    "scale_by_adan": entry(gd.scale_by_adan, oracles.adan, ADAN, BAD_ADAN),
    "adan": step(
        gd.adan,
        oracles.step(oracles.adan),
        ADAN | DECAY,
        BAD_ADAN | BAD_DECAY,
        decays=True,
    ),
    "scale_by_lion": entry(gd.scale_by_lion, oracles.lion, LION, BAD_LION),
    "scale_by_lion, smooth": entry(
        of(gd.scale_by_lion, mode="smooth"),
        oracles.smooth_lion,
        LION | dict(smooth_beta=3.0),
    ),
    "lion": step(
        of(gd.lion, mode="refined"),
        oracles.step(oracles.refined_lion),
        LION | DECAY,
        BAD_LION | BAD_DECAY,
        decays=True,
    ),
    "scale_by_sign": entry(gd.scale_by_sign, oracles.sign, {}),
    "sign_sgd": step(gd.sign_sgd, oracles.step(oracles.sign)),
    "ema": entry(gd.ema, oracles.ema, dict(decay=0.8), dict(decay=UNIT)),
    "signum": step(
        gd.signum, oracles.step(oracles.signum), dict(beta=0.8), dict(beta=UNIT)
    ),
    "scale_by_rprop": entry(
        of(rprop, make=gd.scale_by_rprop), rprop_direction, RPROP, BAD_RPROP
    ),
    "rprop": entry(rprop, rprop_step, RPROP, BAD_RPROP, sign=-1),
    "scale_by_novograd": entry(
        gd.scale_by_novograd,
        oracles.novograd,
        ADAM | DECAY,
        BAD_ADAM | BAD_DECAY | dict(mu_dtype=(int,)),
        decays=True,
    ),
    "novograd": step(
        gd.novograd,
        oracles.novograd_step,
        ADAM | DECAY,
        BAD_ADAM | BAD_DECAY,
        decays=True,
    ),
}
