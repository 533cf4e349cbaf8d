"""The digits: sizes, shares, scale and fingerprint."""

import numpy as np
import pytest

from gdjax import data

DIGEST = "cf5759887374ba9f53c17e4dc850ba01a16bcb2125c54c55d789fbb165517bc3"


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def test_shapes_and_dtypes(digits):
    for part, examples in zip(("train", "validation", "test"), digits, strict=False):
        inputs, targets = examples
        n = digits.info.sizes[part]
        assert inputs.shape == (n, 64) and inputs.dtype == np.float32
        assert targets.shape == (n,) and targets.dtype == np.int32
    assert sum(digits.info.sizes.values()) == 1797
    assert digits.info.num_classes == 10


def test_every_class_has_its_share(digits):
    counts = np.array([np.bincount(part.targets, minlength=10) for part in digits[:3]])
    shares = np.array([[0.7], [0.15], [0.15]])
    assert np.abs(counts - shares * counts.sum(axis=0)).max() <= 1


def test_no_example_is_in_two_parts(digits):
    rows = np.concatenate([part.inputs for part in digits[:3]])
    assert len(np.unique(rows, axis=0)) == 1797  # all images differ


def test_the_scale_comes_from_the_training_split(digits):
    varies = digits.train.inputs.any(axis=0)
    assert varies.sum() == 61  # the other pixels are always blank
    train = digits.train.inputs[:, varies].astype(np.float64)
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(0), 1, rtol=1e-5)
    assert np.abs(digits.test.inputs[:, varies].mean(0)).max() > 0.05
    assert not digits.test.inputs[:, ~varies].any()


def test_the_digest_of_data_and_split_never_changes(digits):
    assert digits.info.digest == DIGEST
    assert data.load("digits", seed=1).info.digest != digits.info.digest


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="must be one of .*nearest is 'digits'"):
        data.load("digit")


def test_a_bad_seed_is_refused():
    with pytest.raises(TypeError, match="`seed` must be a Python integer, got 0.5"):
        data.load("digits", seed=0.5)  # pyright: ignore
