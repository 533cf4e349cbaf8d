"""Standardisation: by the training rows alone, exact, whatever the shape and size."""

import numpy as np
import pytest

from gdjax.data import _scale
from gdjax.data._scale import fit, standardize


def standardized(inputs, train):
    return standardize(inputs, np.arange(len(inputs)), fit(inputs, train))


def test_standardised_by_the_training_rows_alone():
    rng = np.random.default_rng(0)
    inputs, train = rng.normal(5.0, 3.0, (50, 4)), np.arange(0, 50, 2)
    got = standardized(inputs, train)
    assert got.dtype == np.float32
    rows = got[train].astype(np.float64)
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-7)
    np.testing.assert_allclose(rows.std(0), 1, rtol=1e-6)
    held_out = inputs.copy()
    held_out[1::2] *= 1e6
    np.testing.assert_array_equal(standardized(held_out, train)[train], got[train])


@pytest.mark.parametrize("at_once", [1, 100, 2**18])
def test_images_by_channel_whatever_is_summed_at_once(monkeypatch, at_once):
    monkeypatch.setattr(_scale, "_AT_ONCE", at_once)
    images = np.random.default_rng(0).integers(0, 256, (20, 5, 4, 3), np.uint8)
    train = np.arange(3, 20)
    seen = images[train].astype(np.float64)
    mean, std = seen.mean((0, 1, 2)), seen.std((0, 1, 2))
    scale = fit(images, train)
    np.testing.assert_array_equal(scale.mean, mean)  # sums of integers are exact
    np.testing.assert_allclose(scale.std, std, rtol=1e-14)
    got = standardize(images, np.array([4, 0]), scale)
    want = (images[[4, 0]] - mean) / std
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_table_is_scaled_bit_for_bit_as_numpy_says():
    """Results that are recorded stand on these bits."""
    table = np.random.default_rng(0).normal(3.0, 2.0, (300, 7))
    train = np.arange(200)
    want = (table - table[train].mean(0)) / table[train].std(0)
    np.testing.assert_array_equal(standardized(table, train), want.astype(np.float32))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30])
def test_a_constant_feature_becomes_zero(value):
    inputs = np.full((50, 1), value)
    inputs[-1] = value + 7
    # Of 39 times 0.1 numpy's standard deviation is not 0.
    assert not np.any(standardized(inputs, np.arange(39)))
    # Constant in each image is not constant.
    images = np.ones((4, 3, 1)) * np.arange(4)[:, None, None]
    assert np.all(fit(images, np.arange(4)).std > 1)


def test_a_large_mean_costs_no_digits():
    inputs = 1e6 + np.arange(10.0)[:, None]
    want = (np.arange(10) - 4.5) / np.sqrt(8.25)
    got = standardized(inputs, np.arange(10))[:, 0]
    np.testing.assert_allclose(got, want, rtol=1e-6)
