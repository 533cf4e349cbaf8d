"""Losses against numpy, and what of batches and criteria is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from gdjax.models import Model
from gdjax.training import freeze, supervised

MODEL = Model(
    lambda key, inputs: ({"w": jnp.eye(3)}, {"calls": jnp.zeros([])}),
    lambda params, state, inputs, *, train=False, key=None: (
        inputs @ params["w"] + train,
        {"calls": state["calls"] + train},
    ),
)
PARAMS, STATE = {"w": jnp.diag(jnp.array([1.0, 2.0, 3.0]))}, {"calls": jnp.zeros([])}
INPUTS = np.array([[1.0, 0.5, 0.1], [0.2, 0.1, 0.9]], np.float32)
LABELS = np.array([1, 2])


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


LOGITS = INPUTS.astype(float) * [1, 2, 3]
EXPECTED = -log_softmax(LOGITS)[[0, 1], LABELS].mean()


@pytest.mark.parametrize("targets", [LABELS, np.eye(3)[LABELS]], ids=["labels", "one"])
def test_cross_entropy(targets):
    loss_fn = supervised(MODEL, "cross_entropy")
    loss, (state, metrics) = loss_fn(PARAMS, STATE, (INPUTS, targets), None)
    assert loss == pytest.approx(EXPECTED, rel=1e-6)
    assert metrics["loss"] == loss and state["calls"] == 0
    # The first two logits of example 0 are equal: argmax takes the first, not label 1.
    assert metrics["accuracy"] == 0.5


def test_soft_labels_and_more_axes():
    targets = np.full((2, 3), 1 / 3)
    loss, _ = supervised(MODEL, "cross_entropy")(PARAMS, STATE, (INPUTS, targets), None)
    assert loss == pytest.approx(-log_softmax(LOGITS).mean(), rel=1e-6)
    batch = (np.stack([INPUTS] * 4), np.stack([LABELS] * 4))
    loss, _ = supervised(MODEL, "cross_entropy")(PARAMS, STATE, batch, None)
    assert loss == pytest.approx(EXPECTED, rel=1e-6)


def test_a_key_means_training():
    loss_fn = supervised(MODEL, "mse")
    batch = (INPUTS, LOGITS.astype(np.float32))
    loss, (state, _) = loss_fn(PARAMS, STATE, batch, None)
    assert loss == pytest.approx(0, abs=1e-12) and state["calls"] == 0
    loss, (state, metrics) = loss_fn(PARAMS, STATE, batch, jnp.zeros(2, jnp.uint32))
    assert loss == pytest.approx(1, rel=1e-6) and state["calls"] == 1
    assert list(metrics) == ["loss"]
    assert freeze(loss_fn, STATE)(PARAMS, batch) == pytest.approx(0, abs=1e-12)


def test_a_function_as_criterion_and_losses_in_f32():
    loss_fn = supervised(MODEL, lambda outputs, targets: jnp.abs(outputs - 1).sum(-1))
    loss, _ = loss_fn(PARAMS, STATE, (INPUTS, LABELS), None)
    assert loss == pytest.approx(np.abs(LOGITS - 1).sum(-1).mean(), rel=1e-6)
    half = {"w": PARAMS["w"].astype(jnp.bfloat16)}
    batch = (INPUTS.astype(jnp.bfloat16), LABELS)
    loss, (_, metrics) = supervised(MODEL, "cross_entropy")(half, STATE, batch, None)
    assert loss.dtype == metrics["accuracy"].dtype == jnp.float32


@pytest.mark.parametrize(
    "criterion, targets, message",
    [
        ("mse", np.zeros(2), r"shape of the outputs, \(2, 3\), got \(2,\)"),
        ("mse", np.zeros((2, 1)), r"got \(2, 1\)"),
        ("cross_entropy", np.zeros(2), r"labels of shape \(2,\).*float64 of shape"),
        ("cross_entropy", np.zeros((2, 1), int), r"got int64 of shape \(2, 1\)"),
        (lambda o, t: jnp.mean(o), np.zeros(2), r"shape \(2,\), got shape \(\)"),
        (lambda o, t: o, np.zeros(2), r"shape \(2,\), got shape \(2, 3\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(criterion, targets, message):
    with pytest.raises(ValueError, match=message):
        supervised(MODEL, criterion)(PARAMS, STATE, (INPUTS, targets), None)


@pytest.mark.parametrize("criterion", ["hinge", None])
def test_an_unknown_criterion_is_refused(criterion):
    with pytest.raises(
        ValueError, match='must be "cross_entropy", "mse" or a function'
    ):
        supervised(MODEL, criterion)
