"""The sets that need no file: sizes, shares, scale and fingerprint."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

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


@pytest.mark.parametrize(
    "name, sizes, features, classes, digest",
    [
        ("breast_cancer", (397, 86, 86), 30, 2, "23d6e6f73acc3184"),
        ("wine", (124, 27, 27), 13, 3, "3113a0bba3e03199"),
        ("iris", (102, 24, 24), 4, 3, "b2967a96e8df745b"),
    ],
)
def test_small_tables(name, sizes, features, classes, digest):
    *parts, info = data.load(name)
    assert tuple(info.sizes.values()) == sizes == tuple(len(p.inputs) for p in parts)
    assert info.num_classes == classes and info.digest.startswith(digest)
    assert name in info.source and "doi:10.24432/C5" in info.source
    assert info.licence == "CC BY 4.0"
    assert {p.inputs.shape[1:] for p in parts} == {(features,)}
    assert all(set(p.targets.tolist()) == set(range(classes)) for p in parts)
    assert all(p.targets.dtype == np.int32 for p in parts)
    np.testing.assert_allclose(parts[0].inputs.mean(0), 0, atol=2e-6)
    np.testing.assert_allclose(parts[0].inputs.std(0), 1, rtol=1e-5)


def test_diabetes_in_units_of_the_training_targets():
    train, validation, test, info = data.load("diabetes")
    assert info.sizes == {"train": 310, "validation": 66, "test": 66}
    assert info.num_classes is None
    assert info.digest.startswith("6edb065a57f41f99")
    assert "Least Angle" in info.source and info.licence == "not stated"
    for part in (train, validation, test):
        assert part.targets.shape == (len(part.inputs), 1)
        assert part.targets.dtype == part.inputs.dtype == np.float32
    np.testing.assert_allclose(train.targets.mean(), 0, atol=1e-6)
    np.testing.assert_allclose(train.targets.std(), 1, rtol=1e-6)
    # Those held out have a mean of their own, and all come back as they were.
    assert abs(validation.targets.mean()) > 0.01
    z = np.concatenate([part.targets for part in (train, validation, test)])
    assert info.target_mean is not None and info.target_std is not None
    units = np.sort(info.target_std * z[:, 0] + info.target_mean)
    raw = np.sort(load_diabetes(scaled=False).target)
    np.testing.assert_allclose(units, raw, rtol=1e-5)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(
        ValueError, match="must be one of .*, stdlib, got.* is 'digits'"
    ):
        data.load("digit")


def test_a_bad_seed_is_refused():
    with pytest.raises(TypeError, match="`seed` must be a Python integer, got 0.5"):
        data.load("digits", seed=0.5)  # pyright: ignore
