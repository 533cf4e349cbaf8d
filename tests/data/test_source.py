"""Batches: a pure function of seed and step that shows every example once an epoch."""

from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdjax import data

ROWS = {"x": np.arange(20.0).reshape(10, 2), "y": (np.arange(10, dtype=np.int32),)}


def test_the_batches_of_a_seed_never_change():
    rows = data.source(np.arange(8), 3, seed=0)
    assert [rows.batch(step).tolist() for step in range(3)] == [
        [6, 3, 5],
        [2, 7, 0],
        [2, 5, 6],  # the next epoch
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(0, 2**31 - 1),
    st.sampled_from(["drop", "keep"]),
)
def test_an_epoch_shows_every_example_once(n, size, seed, remainder):
    size = min(n, size)
    rows = data.source(np.arange(n), size, seed=seed, remainder=remainder)
    for epoch in (0, 1, 10**6):
        first = epoch * rows.steps_per_epoch
        batches = [rows.batch(first + i) for i in range(rows.steps_per_epoch)]
        shown = np.concatenate(batches)
        assert len(set(shown.tolist())) == len(shown)
        assert len(shown) == (n if remainder == "keep" else n - n % size)
        assert all(len(batch) == size for batch in batches[:-1])


def test_every_epoch_has_an_order_of_its_own():
    rows = data.source(np.arange(100), 50, seed=0)
    epochs = [
        np.concatenate([rows.batch(2 * e), rows.batch(2 * e + 1)]) for e in (0, 1)
    ]
    assert (epochs[0] == epochs[1]).sum() < 10
    other = data.source(np.arange(100), 50, seed=1)
    assert (other.batch(0) == rows.batch(0)).sum() < 10


def test_each_place_is_as_likely_for_each_example():
    rows = data.source(np.arange(5), 1, seed=3)
    order = np.array([rows.batch(step) for step in range(5 * 2000)]).reshape(2000, 5)
    counts = np.array([np.bincount(place, minlength=5) for place in order.T])
    # 2000 draws of probability 1/5: one standard deviation is 18.
    assert np.abs(counts - 400).max() < 80


def test_a_batch_depends_on_seed_and_step_alone():
    forward = data.source(ROWS, 3, seed=5)
    want = [forward.batch(step)["y"][0].tolist() for step in range(60)]
    backward = data.source(ROWS, 3, seed=5)
    got = [
        backward.batch(np.int64(step))["y"][0].tolist() for step in range(59, -1, -1)
    ]
    assert got[::-1] == want
    with ThreadPoolExecutor(8) as pool:
        batches = pool.map(forward.batch, list(range(60)) * 20)
        assert [batch["y"][0].tolist() for batch in batches] == want * 20


@pytest.mark.parametrize("host", range(2))
def test_every_host_sees_the_same_batch_and_goes_on_with_it(monkeypatch, host):
    want = [data.source(ROWS, 3, seed=5).batch(step)["x"] for step in (40, 41)]
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", lambda: host)
    resumed = data.source(ROWS, 3, seed=5)
    for step, batch in zip((40, 41), want, strict=True):
        np.testing.assert_array_equal(resumed.batch(step)["x"], batch)


def test_rows_stay_together_in_a_tree_like_the_arrays():
    batch = data.source(ROWS, 4, seed=0).batch(7)
    assert batch["x"].dtype == np.float64 and batch["y"][0].dtype == np.int32
    np.testing.assert_array_equal(batch["x"][:, 0], 2.0 * batch["y"][0])
    examples = data.Examples(ROWS["x"], ROWS["y"][0])
    assert isinstance(data.source(examples, 4, seed=0).batch(0), data.Examples)


@pytest.mark.parametrize("size", ["full", 10])
def test_the_full_batch_is_the_arrays(size):
    rows = data.source(ROWS, size, seed=0)
    assert (rows.batch_size, rows.num_examples, rows.steps_per_epoch) == (10, 10, 1)
    batch = rows.batch(3)
    np.testing.assert_array_equal(batch["x"], ROWS["x"])
    with pytest.raises(ValueError, match="read-only"):
        batch["x"][0] = 1
    assert ROWS["x"].flags.writeable


def test_remainders():
    drop = data.source(ROWS, 4, seed=0)
    keep = data.source(ROWS, 4, seed=0, remainder="keep")
    for rows, want in ((drop, [4, 4]), (keep, [4, 4, 2])):
        assert rows.steps_per_epoch == len(want)
        assert [len(rows.batch(step)["x"]) for step in range(len(want))] == want


def test_the_digest_tells_arrays_apart():
    digests = {
        data.source(arrays, 1, seed=0).digest
        for arrays in (
            np.zeros(4, np.float32),
            np.zeros(4, np.int32),
            np.zeros((4, 1), np.float32),
            np.ones(4, np.float32),
            {"x": np.zeros(4, np.float32)},
        )
    }
    assert len(digests) == 5
    ones = data.source(np.ones((6, 2)), 1, seed=0)
    strided = data.source(np.ones((6, 4))[:, ::2], 2, seed=1)
    assert ones.digest == strided.digest


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ValueError, r"`batch_size` .*\[1, 10\].*got 11", {"batch_size": 11}),
        (ValueError, r"`batch_size` .*got 0", {"batch_size": 0}),
        (ValueError, r"`batch_size` .*got 'fall'", {"batch_size": "fall"}),
        (TypeError, "`batch_size` must be a Python integer", {"batch_size": 2.0}),
        (TypeError, "`seed` must be a Python integer", {"seed": None}),
        (ValueError, "`remainder` .*'pad'", {"remainder": "pad"}),
        (ValueError, "`arrays` must share a first axis", {"arrays": {}}),
        (ValueError, r"`arrays` .*\(0, 3\)", {"arrays": np.ones((0, 3))}),
        (ValueError, r"`arrays` .*'b': \(\)", {"arrays": {"a": np.ones(3), "b": 1.0}}),
        (ValueError, r"\(4,\)", {"arrays": [np.ones(3), np.ones(4)]}),
    ],
)
def test_bad_arguments(error, message, arguments):
    with pytest.raises(error, match=message):
        data.source(**{"arrays": ROWS, "batch_size": 2, "seed": 0, **arguments})


def test_a_negative_step_is_refused():
    with pytest.raises(ValueError, match="`step` must be >= 0, got -1"):
        data.source(ROWS, 2, seed=0).batch(-1)
