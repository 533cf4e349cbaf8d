"""What torch 2.13's optimizers did to six numbers, and ours do to the same.

`tests/goldens/record_torch.py` recorded it; its table `RUNS` has the arguments.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdjax as gd

GOLDENS = json.loads((Path(__file__).parents[1] / "goldens" / "torch.json").read_text())
MOMENTS = dict(b1=0.8, b2=0.95, eps=1e-2)
RADAM = dict(b1=0.9, b2=0.95)


def falling(first):
    # int32 / 10 would be f32.
    return lambda step: first / (1 + jnp.asarray(step, float) / 10)


def at_most_a_root(step):
    """Relative steps of Adafactor: torch takes the smaller one of this and the rate."""
    return jnp.minimum(0.3, jnp.asarray(step + 1, float) ** -0.5)


RATE, SMALL = falling(0.1), falling(1e-3)
RMS = dict(decay=0.99, eps_in_sqrt=False)
L2 = gd.add_decayed_weights(0.1)
# {run: with the options that give torch's values}
SAME = {
    "SGD": gd.sgd(RATE),
    "SGD, decay": gd.chain(L2, gd.sgd(RATE, 0.9)),
    "SGD, momentum": gd.sgd(RATE, 0.9),
    "SGD, Nesterov": gd.sgd(RATE, 0.9, nesterov=True),
    "Adam": gd.adam(RATE, **MOMENTS),
    "Adam, defaults": gd.adam(SMALL),
    "Adam, decay": gd.chain(L2, gd.adam(RATE)),
    "AdamW": gd.adamw(RATE, weight_decay=0.1),
    "Adam, AMSGrad": gd.amsgrad(RATE, **MOMENTS, correct_after_max=True),
    "Adamax": gd.adamax(RATE, **MOMENTS),
    "Adamax, decay": gd.chain(L2, gd.adamax(RATE)),
    "NAdam, fixed b1": gd.nadam(RATE),
    "RAdam, eps 0": gd.radam(RATE, **RADAM, eps=0.0),
    "RMSprop": gd.rmsprop(RATE, **RMS, eps=1e-2),
    "RMSprop, centered": gd.rmsprop(RATE, **RMS, eps=1e-2, centered=True),
    "RMSprop, momentum": gd.chain(
        gd.scale_by_rms(**RMS), gd.trace(0.9), gd.scale_by_learning_rate(RATE)
    ),
    "RMSprop, momentum, constant rate": gd.rmsprop(
        0.1, **RMS, centered=True, momentum=0.9
    ),
    "Adagrad": gd.adagrad(RATE, 0.0, 1e-10, eps_in_sqrt=False),
    "Adagrad, eps": gd.adagrad(RATE, 0.3, 1e-2, eps_in_sqrt=False),
    "Adadelta": gd.adadelta(falling(1.0)),
    "Adadelta, decay": gd.adadelta(falling(3.0), 0.8, 1e-2, weight_decay=0.1),
    "Rprop": gd.rprop(0.1),
    "Adafactor": gd.adafactor(at_most_a_root, min_dim_size_to_factor=1),
    "Adafactor, decay": gd.adafactor(
        RATE, 1, weight_decay_rate=lambda step: 0.1 * RATE(step)
    ),
}
# {what differs: (run, ours without such an option, how far the paths come apart)}
DIFFERENT = {
    "b1 is fixed": ("NAdam", gd.nadam(RATE), 0.4566),
    "eps after the correction": ("RAdam", gd.radam(RATE, **RADAM, eps=1e-2), 2.205e-3),
    "the rate before the momentum": (
        "RMSprop, momentum",
        gd.rmsprop(RATE, **RMS, momentum=0.9),
        0.3943,
    ),
    "eps inside the root": ("RMSprop", gd.rmsprop(RATE, 0.99, 1e-2), 0.2505),
    "eps inside AdaGrad's": ("Adagrad, eps", gd.adagrad(RATE, 0.3, 1e-2), 4.545e-3),
    "the sum starts at 0.1": ("Adagrad", gd.adagrad(RATE), 0.2591),
    "the maximum of what is corrected": (
        "Adam, AMSGrad",
        gd.amsgrad(RATE, **MOMENTS),
        0.1311,
    ),
    "decay apart from the gradient": (
        "Adamax, decay",
        gd.adamaxw(RATE, weight_decay=0.1),
        0.1192,
    ),
    "decay without the rate": (
        "Adafactor, decay",
        gd.adafactor(RATE, 1, weight_decay_rate=0.1),
        2.321,
    ),
}


def off(run, tx):
    """The largest difference of the two paths, as a share of the longest distance."""
    start, *want = np.array([GOLDENS["start"], *GOLDENS["runs"][run]])
    with jax.enable_x64(True):
        p, path = jnp.asarray(start), []
        state = tx.init(p)
        for g in np.array(GOLDENS["gradients"]):
            updates, state = tx.update(jnp.asarray(g), state, p)
            p = gd.apply_updates(p, updates)
            path.append(np.asarray(p))
    assert path[0].dtype == np.float64
    return np.abs(np.array(path) - want).max() / np.abs(want - start).max()


@pytest.mark.parametrize("run", SAME)
def test_the_path_is_that_of_torch(run):
    assert off(run, SAME[run]) <= 1e-12


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_differs_differs_by_this_much(what):
    run, tx, distance = DIFFERENT[what]
    assert off(run, tx) == pytest.approx(distance, rel=1e-2)


def test_every_recording_is_compared():
    assert GOLDENS["torch"].startswith("2.13")
    assert set(GOLDENS["runs"]) == set(SAME) | {run for run, *_ in DIFFERENT.values()}
