"""Runs of an optimizer that keep every iterate, for what averages of them must be."""

import functools

import jax
import numpy as np
from quick import QUICK

import gdjax as gd


def scan(tx, params, grads):
    """(final state, final parameters, all iterates)"""

    def step(carry, g):
        params, state = carry
        updates, state = tx.update(g, state, params)
        params = gd.apply_updates(params, updates)
        return (params, state), params

    (params, state), iterates = jax.lax.scan(step, (params, tx.init(params)), grads)
    return state, params, iterates


def run(tx, params, grads):
    """The same, compiled."""
    compiled = jax.jit(functools.partial(scan, tx), compiler_options=QUICK)
    return compiled(params, grads)


def wide(x):
    """In numpy, float64."""
    return np.asarray(x).astype(np.float64)
