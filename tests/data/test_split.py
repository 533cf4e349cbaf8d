"""Splits: fixed for ever, stratified, and documents in one piece."""

import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gdjax.data._split import split, split_documents

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


def test_a_test_part_stays_and_the_rest_is_split():
    train, validation, test = split(TARGETS, 0, num_test=30)
    assert test.tolist() == list(range(70, 100))
    assert sorted([*train, *validation]) == list(range(70))
    assert np.bincount(TARGETS[validation]).tolist() == [2] * 7  # round(0.15 * 10)
    whole = split(TARGETS[:70], 0)
    np.testing.assert_array_equal(validation, whole.validation)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 14), min_size=7, max_size=60), st.integers(0, 2**40))
def test_documents_stay_whole_and_shares_are_near(sizes, seed):
    documents = np.repeat(np.arange(len(sizes)), sizes)
    parts = split_documents(documents, seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(documents)))
    owners = [set(documents[part].tolist()) for part in parts]
    assert sum(map(len, owners)) == len(sizes)
    if max(sizes) < 0.15 * sum(sizes):
        assert all(owners)
    for part, share in zip(parts, (0.7, 0.15, 0.15), strict=True):
        assert abs(len(part) - share * sum(sizes)) <= max(sizes) + 1e-9


def test_the_split_of_documents_never_changes():
    documents = np.repeat(np.arange(20), 2)
    train, validation, test = split_documents(documents, 0)
    assert len(train) == 28
    assert validation.tolist() == [0, 1, 2, 3, 34, 35]
    assert test.tolist() == [6, 7, 8, 9, 38, 39]
