"""Splits: fixed for ever, stratified, and no look at what is held out."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdjax.data._split import split, standardize

TARGETS = np.arange(100) % 7


def test_the_split_of_a_seed_never_changes():
    parts = [part.astype("<i8").tobytes() for part in split(TARGETS, 0)]
    assert [hashlib.sha256(part).hexdigest()[:16] for part in parts] == [
        "dbd2242e7eca2317",
        "d673f43a3914ac3c",
        "7a9422fffdf2a808",
    ]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=120), st.integers(0, 2**40))
def test_disjoint_complete_and_stratified(labels, seed):
    targets = np.array(labels)
    parts = split(targets, seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(targets)))
    for label in np.unique(targets):
        n = np.sum(targets == label)
        for part, share in zip(parts, (0.7, 0.15, 0.15), strict=True):
            assert abs(np.sum(targets[part] == label) - share * n) <= 1


def test_another_seed_is_another_split():
    ours, theirs = split(TARGETS, 0), split(TARGETS, 1)
    assert len(ours.test) == len(theirs.test)
    assert len(np.intersect1d(ours.test, theirs.test)) < len(ours.test) / 2


def test_an_example_keeps_its_place_when_other_classes_change():
    changed = np.where(TARGETS == 6, 5, TARGETS)
    for ours, theirs in zip(split(TARGETS, 0), split(changed, 0), strict=True):
        assert ours[TARGETS[ours] < 5].tolist() == theirs[changed[theirs] < 5].tolist()


def test_standardised_by_the_training_rows_alone():
    rng = np.random.default_rng(0)
    inputs, train = rng.normal(5.0, 3.0, (50, 4)), np.arange(0, 50, 2)
    got = standardize(inputs, train)
    assert got.dtype == np.float32
    rows = got[train].astype(np.float64)
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-7)
    np.testing.assert_allclose(rows.std(0), 1, rtol=1e-6)
    held_out = inputs.copy()
    held_out[1::2] *= 1e6
    np.testing.assert_array_equal(standardize(held_out, train)[train], got[train])


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30])
def test_a_constant_feature_becomes_zero(value):
    inputs = np.full((50, 1), value)
    inputs[-1] = value + 7
    # Of 39 times 0.1 numpy's standard deviation is not 0.
    assert not np.any(standardize(inputs, np.arange(39)))


def test_a_large_mean_costs_no_digits():
    inputs = 1e6 + np.arange(10.0)[:, None]
    want = (np.arange(10) - 4.5) / np.sqrt(8.25)
    got = standardize(inputs, np.arange(10))[:, 0]
    np.testing.assert_allclose(got, want, rtol=1e-6)
