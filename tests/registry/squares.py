"""Rules that divide by a size of past gradients, and the optimizers made of them.

A link has one set of modes, its optimizer the other: the modes of both are tried.
"""

import functools

from oracles import links
from oracles import squares as oracles

import gdjax as gd
from registry.values import (
    ADAM,
    BAD_ADAM,
    POSITIVE,
    SIZE,
    UNIT,
    entry,
    step,
)


def adadelta(learning_rate, rho=0.9, eps=1e-6, weight_decay=0.0):
    """Without its default rate: 200 steps at 1 are lost in f32 parameters' rounding."""
    return gd.adadelta(learning_rate, rho, eps, weight_decay)


RSS = dict(initial_accumulator_value=0.3, eps=1e-2)
BAD_RSS = dict(initial_accumulator_value=SIZE, eps=SIZE)
RMS = dict(decay=0.8, eps=1e-2, initial_scale=0.3)
BAD_RMS = dict(decay=UNIT, eps=SIZE, initial_scale=SIZE)
ADADELTA = dict(rho=0.8, eps=1e-2)
BAD_ADADELTA = dict(rho=UNIT, eps=POSITIVE)
ADAMAX = dict(b1=0.8, b2=0.95, eps=1e-2)
BAD_ADAMAX = dict(b1=UNIT, b2=UNIT, eps=SIZE)
DECAY, BAD_DECAY = dict(weight_decay=0.1), dict(weight_decay=SIZE)
MOMENTUM, BAD_MOMENTUM = dict(momentum=0.7), dict(momentum=UNIT)
outside = functools.partial(gd.adagrad, eps_in_sqrt=False)
corrected = functools.partial(gd.rmsprop, eps_in_sqrt=False, bias_correction=True)
centered = functools.partial(
    gd.rmsprop, eps_in_sqrt=False, centered=True, nesterov=True
)
corrected_deviation = functools.partial(gd.scale_by_stddev, bias_correction=True)
after_max = functools.partial(gd.amsgrad, correct_after_max=True)
CHECKS = {
    "scale_by_rss": entry(gd.scale_by_rss, oracles.square_sum, RSS, BAD_RSS),
    "scale_by_rms": entry(gd.scale_by_rms, oracles.mean_square, RMS, BAD_RMS),
    "scale_by_stddev": entry(
        corrected_deviation, oracles.corrected_deviation, RMS, BAD_RMS
    ),
    "scale_by_adadelta": entry(
        gd.scale_by_adadelta, oracles.adadelta, ADADELTA, BAD_ADADELTA
    ),
    "scale_by_amsgrad": entry(gd.scale_by_amsgrad, oracles.amsgrad, ADAM, BAD_ADAM),
    "scale_by_adamax": entry(gd.scale_by_adamax, oracles.adamax, ADAMAX, BAD_ADAMAX),
    "adagrad": step(
        outside, oracles.step(oracles.square_sum, inside=False), RSS, BAD_RSS
    ),
    "rmsprop": step(
        corrected,
        oracles.rmsprop(oracles.mean_square, inside=False, corrected=True),
        {**RMS, **MOMENTUM},
        {**BAD_RMS, **BAD_MOMENTUM},
    ),
    "rmsprop, centred": step(
        centered,
        oracles.rmsprop(oracles.deviation, nesterov=True, inside=False),
        {**RMS, **MOMENTUM},
        {**BAD_RMS, **BAD_MOMENTUM},
    ),
    "adadelta": step(
        adadelta,
        oracles.decayed_adadelta,
        {**ADADELTA, **DECAY, "learning_rate": 10.0},
        {**BAD_ADADELTA, **BAD_DECAY},
        decays=True,
    ),
    "amsgrad": step(
        after_max,
        oracles.step(oracles.amsgrad, correct_after=True),
        ADAM,
        BAD_ADAM,
    ),
    "adamax": step(gd.adamax, oracles.step(oracles.adamax), ADAMAX, BAD_ADAMAX),
    "adamaxw": step(
        gd.adamaxw,
        oracles.step(oracles.adamax),
        {**ADAMAX, **DECAY},
        {**BAD_ADAMAX, **BAD_DECAY},
        decays=True,
    ),
    "nadam": step(gd.nadam, oracles.step(links.nadam), ADAM, BAD_ADAM),
    "nadamw": step(
        gd.nadamw,
        oracles.step(links.nadam),
        {**ADAM, **DECAY},
        {**BAD_ADAM, **BAD_DECAY},
        decays=True,
    ),
}
