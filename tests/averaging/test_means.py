"""Each average against the float64 mean of a thousand iterates that were recorded."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from averaging.recorded import run, wide

import gdjax as gd
from gdjax import tree
from gdjax.averaging import EmaParamsState

N, DECAY, WARMUP = 1000, 0.99, 10
EVERY, KEEP = 90, 10


LONG64 = pytest.param("float64", marks=pytest.mark.long)


def around(tx):
    """All that leave the steps of `tx` alone, one around the other."""
    tx = gd.ema_params(gd.swa(tx, start_step=0), DECAY)
    tx = gd.ema_params(gd.ema_params(tx, DECAY, debias=False), DECAY, warmup=WARMUP)
    return gd.snapshots(gd.lawa(tx, every=1, window=N), EVERY, KEEP, start_step=7)


def weights_of(decays, debias):
    """What the start and each iterate count in a_t = d_t a_{t-1} + (1 - d_t) x_t."""
    later = np.append(np.cumprod(decays[::-1])[::-1], 1)
    weights = later * np.append(1 if not debias else 0, 1 - decays)
    return weights / weights.sum()


EMA_WEIGHTS = (
    weights_of(np.minimum(DECAY, np.arange(1, N + 1) / (np.arange(N) + WARMUP)), True),
    weights_of(np.full(N, DECAY), False),
    weights_of(np.full(N, DECAY), True),
)


@pytest.fixture(scope="module", params=["float32", "bfloat16", LONG64])
def recorded(request):
    """(state, final parameters, the start and all iterates)."""
    dtype = request.param
    with jax.enable_x64(dtype == "float64"):
        rng = np.random.default_rng(0)
        start = jnp.ones(8, dtype)
        grads = jnp.asarray(rng.normal(size=(N, 8)), dtype)
        state, params, iterates = run(around(gd.sgd(0.01)), start, grads)
        assert params.dtype == iterates.dtype == dtype
        yield state, params, np.concatenate([start[None], iterates])


def compare(average, want, x):
    """Within 4 eps sqrt(n) max|x|, eps of f32 for bf16 iterates too."""
    assert average.dtype == (x.dtype if x.dtype == np.float64 else np.float32)
    allowed = 4 * np.finfo(average.dtype).eps * math.sqrt(N) * np.abs(wide(x)).max()
    np.testing.assert_allclose(average, want, rtol=0, atol=allowed)


def read(state, params, name):
    """The average as it is kept, which in the dtype of `params` is what is read."""
    average = gd.averaged_params(state, params, name=name)
    assert average.dtype == params.dtype
    kept = gd.averaged_params(state, tree.widened(params), name=name)
    np.testing.assert_array_equal(average, kept.astype(params.dtype))
    return kept


def test_swa(recorded):
    state, params, x = recorded
    assert gd.testing.fields(state, "num_averaged") == [N]
    compare(read(state, params, "swa"), wide(x)[1:].mean(0), x)


@pytest.mark.parametrize("mode", [0, 1, 2], ids=["warmup", "no debias", "plain"])
def test_ema_params(recorded, mode):
    state, params, x = recorded
    emas = [s for _, s in tree.nodes(state) if isinstance(s, EmaParamsState)]
    average = read(emas[mode]._replace(inner_state=()), params, "ema_params")
    compare(average, np.tensordot(EMA_WEIGHTS[mode], wide(x), 1), x)


def test_lawa(recorded):
    state, params, x = recorded
    compare(read(state, params, "lawa"), wide(x)[1:].mean(0), x)
    np.testing.assert_array_equal(
        wide(gd.stacked_params(state, name="lawa")), wide(x)[1:]
    )


def test_snapshots_are_the_iterates_bit_for_bit(recorded):
    state, params, x = recorded
    kept = gd.stacked_params(state, name="snapshots")
    taken = x[1:][7::EVERY]
    assert len(taken) == KEEP + 2  # the first two are gone
    assert kept.dtype == params.dtype
    np.testing.assert_array_equal(wide(kept), wide(taken[-KEEP:]))
    compare(read(state, params, "snapshots"), wide(taken[-KEEP:]).mean(0), x)


def test_of_bf16_parameters_lawa_is_a_mean_in_f32():
    """1 and ten times 1 + 2^-7 in bf16: a sum in bf16 would be far off."""
    tx, x = gd.lawa(gd.identity(), every=1, window=11), jnp.bfloat16(1)
    state, update = tx.init(x), jax.jit(tx.update)
    for step in [0.0] + 10 * [2.0**-7]:
        _, state = update(jnp.bfloat16(step), state, x)
    assert gd.averaged_params(state, jnp.float32(0)) == np.float32(1 + 10 / 11 / 128)
