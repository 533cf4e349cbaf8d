"""Wrappers: hyperparameters in the state, SAM, decay by depth, measurements."""

import functools

import jax
import optax
from oracles import wrappers as oracles

import gdjax as gd
from registry.values import POSITIVE, SIZE, UNIT, entry, step


def injected(learning_rate, momentum=0.5, static_args=(), hyperparam_dtype=None):
    make = gd.inject_hyperparams(gd.sgd, static_args, hyperparam_dtype)
    return make(learning_rate, momentum)


def curved_sam(learning_rate, rho=0.05, eta=0.01, adaptive=False):
    """On a function whose gradient grows by 1/2 a unit.

    Not by more: q is rounded as the parameters are, and one unit of that comes back
    times the growth. With 3, jax 0.12 and a parameter of 0.5, a norm with another last
    bit in jit than eagerly moved q by 2^-24 and a small step by 1.5e-6 of it: law 3
    allows 1e-6.
    """
    tx = gd.sam(gd.sgd(learning_rate), rho, adaptive, eta=eta)

    def update(g, state, params=None, **extra):
        def grad_fn(there):
            grow = lambda g, q, p: None if g is None else g + 0.5 * (q - p)
            return jax.tree.map(grow, g, there, params, is_leaf=lambda x: x is None)

        return tx.update(g, state, params, grad_fn=grad_fn, **extra)

    return optax.GradientTransformationExtraArgs(tx.init, update)


def two_depths(decay, depth_of=("^below", "^above")):
    """Every tree twice, as in `two_groups`."""
    tx = gd.layerwise_decay(gd.trace(0.8), decay, depth_of)
    twice = lambda x: {"below": x, "above": x}

    def update(g, state, params=None, **extra):
        u, state = tx.update(twice(g), state, twice(params), **extra)
        return jax.tree.map(lambda a, b: a + 2 * b, u["below"], u["above"]), state

    return optax.GradientTransformationExtraArgs(lambda p: tx.init(twice(p)), update)


SIZE_OF = gd.tree.global_norm
MEASURES = {
    "size": SIZE_OF,
    "mean_size": gd.measure_with_ema(SIZE_OF, 0.9, debias=False),
}


def monitored(measures=MEASURES):
    return gd.monitor(measures)


CHECKS = {
    "inject_hyperparams": step(
        injected,
        oracles.injected_sgd,
        dict(momentum=0.8),
        dict(momentum=UNIT, hyperparam_dtype=(int, "x"), static_args=("b3", ["x"])),
    ),
    "sam": step(
        curved_sam,
        oracles.sam_of_sgd,
        dict(rho=0.1),
        dict(rho=SIZE, eta=SIZE, adaptive=(1, "yes", None)),
    ),
    "sam, adaptive": step(
        functools.partial(curved_sam, adaptive=True),
        oracles.asam_of_sgd,
        dict(rho=0.1, eta=0.2),
    ),
    "layerwise_decay": entry(
        two_depths,
        oracles.two_depths,
        dict(decay=0.7),
        dict(decay=(1.1, *POSITIVE), depth_of=("^below", (), 3, ("(",), (b"x",))),
    ),
    "monitor": entry(
        monitored, oracles.monitored, {}, dict(measures=(SIZE_OF, {"size": 1.0}))
    ),
}
LONG = {"sam, adaptive"}  # its programs compile for long
