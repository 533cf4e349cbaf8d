"""AdEMAMix: the slow mean, and the paper's schedules for it."""

import math

import jax
import jax.numpy as jnp
import numpy as np

import gdjax as gd


def test_schedules_of_the_paper():
    """Section 3: alpha linear, b3 so that its half-life is; both from b1 and 0."""
    b1, b3, alpha, steps = 0.9, 0.9999, 5.0, 50
    rng = np.random.default_rng(0)
    stream = rng.normal(size=(60, 3))
    m1 = m2 = nu = 0.0
    want = []
    for t, g in enumerate(stream):
        z = min(t / steps, 1)
        slow = math.log(b1) * math.log(b3)
        slow = math.exp(slow / ((1 - z) * math.log(b3) + z * math.log(b1)))
        m1, m2 = b1 * m1 + (1 - b1) * g, slow * m2 + (1 - slow) * g
        nu = 0.999 * nu + 0.001 * g**2
        above = m1 / (1 - b1 ** (t + 1)) + z * alpha * m2
        want.append(above / (np.sqrt(nu / (1 - 0.999 ** (t + 1))) + 1e-8))
    with jax.enable_x64(True):
        line = gd.linear_schedule(1 / math.log(b1), 1 / math.log(b3), steps)
        tx = gd.scale_by_ademamix(
            b3=lambda step: jnp.exp(1 / line(step)),
            alpha=gd.linear_schedule(0.0, alpha, steps),
        )
        step = lambda state, g: tx.update(g, state)[::-1]
        start = tx.init(jnp.zeros(3))
        _, got = jax.jit(lambda x: jax.lax.scan(step, start, x))(stream)
    np.testing.assert_allclose(got, want, rtol=1e-11)


def test_the_square_is_not_kept_in_the_dtype_of_the_means():
    tx = gd.scale_by_ademamix(mu_dtype=jnp.bfloat16)
    state = jax.eval_shape(tx.init, jnp.ones(2))
    kinds = [x.dtype.name for x in (state.m1, state.m2, state.nu)]
    assert kinds == ["bfloat16", "bfloat16", "float32"]
