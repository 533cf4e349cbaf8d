"""Arrays on the device: when they go there, and batches that are gathered there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdjax import data
from gdjax.data import _device

ROWS = {
    "x": np.random.default_rng(0).normal(size=(40, 3, 2)).astype(np.float32),
    "y": np.arange(40, dtype=np.int32),
    "z": np.arange(40, dtype=np.uint8)[:, None],
}
BYTES = 40 * (24 + 4 + 1)


@pytest.mark.parametrize("remainder", ["drop", "keep"])
def test_resident_batches_are_the_same_bits(remainder):
    host = data.source(ROWS, 12, seed=3, remainder=remainder)
    resident = data.source(
        jax.tree.map(jnp.asarray, ROWS), 12, seed=3, remainder=remainder
    )
    assert resident.steps_per_epoch == host.steps_per_epoch
    assert resident.digest == host.digest
    for step in (5, 0, 7, 3, 2):
        want, got = host.batch(step), resident.batch(step)
        for name in ROWS:
            assert isinstance(got[name], jax.Array)
            assert got[name].dtype == want[name].dtype
            np.testing.assert_array_equal(got[name], want[name])


def test_one_program_for_all_steps():
    rows = data.source(jnp.arange(50.0), 7, seed=0)
    rows.batch(0)
    before = _device.rows._cache_size()
    for step in range(1, 20):
        rows.batch(step)
    assert _device.rows._cache_size() == before


def test_the_full_batch_stays_where_it_is():
    array = jnp.arange(5.0)
    assert data.source(array, "full", seed=0).batch(9) is array


def test_arrays_of_both_kinds_are_refused():
    with pytest.raises(
        ValueError, match="all of numpy or all of jax, got some of each"
    ):
        data.source((np.ones(3), jnp.ones(3)), 1, seed=0)


def test_a_device_that_does_not_tell_its_memory_gets_nothing():
    assert data.on_device(ROWS) is ROWS


@pytest.mark.parametrize(
    "told, fits",
    [
        ({"bytes_limit": 2 * BYTES + 100, "bytes_in_use": 100}, True),
        ({"bytes_limit": 2 * BYTES + 100, "bytes_in_use": 101}, False),
        ({"bytes_limit": 2 * BYTES}, True),
        ({}, False),
        (None, False),
    ],
)
def test_arrays_go_where_they_fit(monkeypatch, told, fits):
    device = type(jax.devices()[0])
    monkeypatch.setattr(device, "memory_stats", lambda self: told, raising=False)
    got = data.on_device(ROWS)
    assert isinstance(got["x"], jax.Array if fits else np.ndarray)
    if fits:
        np.testing.assert_array_equal(got["x"], ROWS["x"])
        assert isinstance(data.on_device(ROWS, share=0.4)["x"], np.ndarray)
        assert data.on_device(got)["x"] is got["x"]  # nothing left to move


def test_shares():
    for share in (0.0, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"`share` must lie in \(0, 1\]"):
            data.on_device(ROWS, share=share)
