"""Decay, sparsity, constraints, noise and caution."""

import functools

import jax
import jax.numpy as jnp
import optax
from oracles import regularisers as oracles

import gdjax as gd
from gdjax import tree
from registry.values import INF, NAN, ONE_RATE, RATE, SIZE, entry


def independent_decay(learning_rate, weight_decay):
    return gd.independent_decay(gd.sgd(learning_rate, momentum=0.9), weight_decay)


def proximal_l1(learning_rate, strength, lr=...):
    lr = learning_rate if lr is ... else lr
    return gd.proximal_l1(gd.sgd(learning_rate), strength, lr)


def into_the_ball(learning_rate, radius, projection=...):
    """By the exact norm, as Optax's projection overflows beyond 1e19."""

    def ball(p):
        factor = jnp.minimum(1, radius / jnp.maximum(tree.global_norm(p), radius))
        return jax.tree.map(lambda x: factor * x, p)

    projection = ball if projection is ... else projection
    return gd.project(gd.sgd(learning_rate), projection)


def keep_params_nonnegative(learning_rate):
    return gd.chain(gd.sgd(learning_rate), gd.keep_params_nonnegative())


def size_of(noise, unit):
    """Scales gradients by the ratio of two noises from one key: no chance is left."""

    def init(params):
        return noise.init(params), unit.init(params)

    def update(g, state, params=None, **extra):
        zero = tree.zeros_like(g)
        xi, first = noise.update(zero, state[0], params, **extra)
        one, second = unit.update(zero, state[1], params)
        scaled = lambda g, xi, one: (g * (xi / one)).astype(g.dtype)
        return jax.tree.map(scaled, g, xi, one), (first, second)

    return optax.GradientTransformationExtraArgs(init, update)


def size_of_noise(eta, gamma, key=0):
    return size_of(gd.add_noise(eta, gamma, key), gd.add_noise(1.0, 0.0, key=0))


def size_of_heat(temperature, learning_rate, key=0, lr=...):
    lr = learning_rate if lr is ... else lr
    return size_of(gd.langevin(temperature, lr, key), gd.langevin(0.5, 1.0, key=0))


def cautious_momentum(floor, decay):
    return gd.cautious(gd.trace(decay), floor)


step = functools.partial(entry, sign=-1)
NO_KEY = (-1, 0.5, True, "x")
CHECKS = {
    "cautious_weight_decay": entry(
        gd.cautious_weight_decay,
        oracles.cautious_decay,
        dict(weight_decay=0.1),
        dict(weight_decay=SIZE),
        decays=True,
    ),
    "independent_decay": step(
        independent_decay,
        oracles.independent_decay,
        dict(weight_decay=0.01) | ONE_RATE,
        dict(weight_decay=SIZE),
        decays=True,
    ),
    "add_l1_subgradient": entry(
        gd.add_l1_subgradient,
        oracles.l1_subgradient,
        dict(strength=0.1),
        dict(strength=(*SIZE, lambda count: 0.1)),
        decays=True,
    ),
    "proximal_l1": step(
        proximal_l1,
        oracles.proximal_l1,
        dict(strength=0.3) | ONE_RATE,
        dict(strength=(*SIZE, lambda count: 0.1), lr=RATE),
        decays=True,
    ),
    "project": step(
        into_the_ball,
        oracles.l2_ball,
        dict(radius=0.7) | ONE_RATE,
        dict(projection=(1.0, None)),
        decays=True,
    ),
    "keep_params_nonnegative": step(
        keep_params_nonnegative, oracles.non_negative, ONE_RATE, decays=True
    ),
    "add_noise": entry(
        size_of_noise,
        oracles.size_of_noise,
        dict(eta=0.3, gamma=0.55),
        dict(eta=SIZE, gamma=SIZE, key=NO_KEY),
    ),
    "langevin": entry(
        size_of_heat,
        oracles.size_of_heat,
        dict(temperature=0.2) | ONE_RATE,
        dict(temperature=SIZE, lr=RATE, key=NO_KEY),
    ),
    "cautious": entry(
        cautious_momentum,
        oracles.cautious,
        dict(floor=0.7, decay=0.8),
        dict(floor=(0.0, 1.1, -0.1, NAN, INF, None)),
    ),
}
# Random numbers are dear to compile; the third is Optax's by a wrapper of many.
LONG = {"add_noise", "langevin", "keep_params_nonnegative"}
