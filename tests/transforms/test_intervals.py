"""Interval arithmetic: what is computed lies where it says, whatever the entries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdjax import tree
from gdjax.transforms import _intervals
from gdjax.transforms._intervals import Value

SIZE = 64


UNARY = [
    jnp.abs, jnp.square, jnp.sqrt, jax.lax.rsqrt, jnp.cbrt, jnp.exp, jnp.exp2,
    jnp.expm1, jnp.log, jnp.log1p, jnp.tanh, jax.nn.sigmoid, jnp.floor, jnp.ceil,
    jnp.round, jnp.sign, jnp.sin, jnp.cos, jnp.negative, jnp.sum, jax.nn.relu,
    lambda x: x**3, lambda x: x**-2, lambda x: x**4, lambda x: x * x,
    lambda x: (0.1 * x) * x, lambda x: (-3 * x) * (x / 7), lambda x: x * x[::-1],
    lambda x: x / jnp.where(x > 0.5, x, 1), lambda x: jnp.where(x > 0.5, x[::-1], 1),
    lambda x: jnp.where(x < 0, x + 1, x - 1), lambda x: x * jnp.max(x),
    lambda x: x[:, None] * x[None, :], lambda x: x.reshape(8, 8) * x.reshape(8, 8).T,
    lambda x: jnp.clip(x, -1, 2), lambda x: x.astype(jnp.float16), lambda x: x % 3.0,
    lambda x: jnp.where(x >= 0, jnp.sqrt(x), 0), lambda x: jnp.power(x, 1.7),
    lambda x: jax.lax.cond(x[0] > 0, lambda: x, lambda: -2 * x), tree.global_norm,
    lambda x: x.astype(jnp.int32).astype(jnp.float32), lambda x: 1.0 * (x > 2),
    jax.checkpoint(lambda x: x - 3 * x), lambda x: tree.abs_sq(x, 0.3),
    lambda x: (x + 1) * x, lambda x: (0.5 * x - 3) * x, lambda x: x / 1e-30,
    lambda x: x / 1e30, lambda x: 2.0**x,
]  # fmt: skip
BINARY = [
    jnp.add, jnp.subtract, jnp.multiply, jnp.divide, jnp.maximum, jnp.minimum,
    lambda x, y: jnp.power(jnp.abs(x), y), lambda x, y: x / (jnp.sqrt(y * y) + 1e-8),
    lambda x, y: x - (x - y) * 0.1, lambda x, y: (0.5 * x) * (x * y),
    lambda x, y: jnp.where(x > y, x - y, 0), lambda x, y: x * jnp.exp(1e3 * y),
    lambda x, y: jnp.hypot(x, y),
]  # fmt: skip
END = st.floats(-1, 1) | st.sampled_from(
    [0.0, 1.0, -1.0, 1e-38, -1e-38, 3e38, -3e38, 1e19, -1e19, 2.0, 7.5]
)
END = END.map(lambda x: float(np.float32(x)))
ENDS = st.tuples(END, END).map(sorted).map(tuple)


def entries(interval, seed):
    """Its ends, numbers between them, and 0 if it lies inside."""
    low, high = interval
    share = np.random.default_rng(seed).random(SIZE)
    share[:2] = 0, 1
    inside = np.clip(low * (1 - share) + high * share, low, high).astype(np.float32)
    inside[2:4] *= not low < 0 < high
    return inside


def check(function, num_args, intervals):
    """Of the one result, run as one program, from those of the arguments."""
    like = [jnp.zeros(SIZE)] * num_args
    closed, run = jax.make_jaxpr(function)(*like), jax.jit(function)

    @settings(max_examples=40, deadline=None)
    @given(intervals=intervals, seed=st.integers(0, 99))
    def lies_inside(intervals, seed):
        args = [Value(interval, jnp.dtype("float32")) for interval in intervals]
        (result,) = _intervals.results(closed, args)
        x = [entries(interval, seed + i) for i, interval in enumerate(intervals)]
        got = np.asarray(run(*x), np.float64)
        if result.interval is not None:
            low, high = result.interval
            assert low <= got.min() and got.max() <= high, (low, high, got)

    lies_inside()


@pytest.mark.parametrize("index", range(len(UNARY)))
def test_of_one_argument(index):
    check(UNARY[index], 1, st.tuples(ENDS))


@pytest.mark.parametrize("index", range(len(BINARY)))
def test_of_two_arguments(index):
    check(BINARY[index], 2, st.tuples(ENDS, ENDS))


@pytest.mark.parametrize(
    "function", [lambda a, x: jnp.where(x > 0.5, a, 0), lambda a, x: a * a]
)
def test_an_overflow_on_the_way_is_not_forgotten(function):
    """Though 1e30 and 1e-30 make 1."""
    closed = jax.make_jaxpr(lambda x: function((x * 1e30) * 1e-30, x))(jnp.ones(3))
    found = [
        _intervals.results(closed, [Value((0.0, most), jnp.dtype("float32"))])
        for most in (1e6, 1e9)
    ]
    assert found[0][0].interval[1] < 1.01e12 and found[1][0].interval[1] == np.inf
