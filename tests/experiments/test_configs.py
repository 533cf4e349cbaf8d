"""Every config file: that all fits together, and what some of them reach."""

import json

import jax
import numpy as np
import pytest
from own_configs import NAMES, config

import gdjax as gd
from gdjax.training import _setup as setup
from gdjax.training._config import plain, read


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Files of the names and shapes that the configs ask for."""
    folder = tmp_path_factory.mktemp("data")
    labels = np.arange(200, dtype=np.uint8) % 10
    images = np.random.default_rng(0).integers(0, 256, (200, 28, 28), np.uint8)
    arrays = {"train_x": images, "train_y": labels, "test_x": images, "test_y": labels}
    np.savez(folder / "mnist.npz", **arrays)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_step_of_it_can_be_made(name, data_dir):
    job = config(name)
    decay = job.schedule.get("decay_steps")
    job.num_steps *= 2
    if decay:  # follows, with the warm-up in it
        assert job.schedule.decay_steps == 2 * decay == job.num_steps
    settings = read(plain(job))
    splits, info = setup.make_data(settings, data_dir)
    model, loss_fn = setup.make_loss(settings)
    params = setup.make_params(settings, model, loss_fn, splits["train"], info)
    setup.make_optimizer(settings, params)
    assert len(jax.tree.leaves(params)) >= 2
    # Rows, evaluations and calls fall together: nothing is compiled twice.
    assert settings.log_every % settings.steps_per_call == 0
    assert (settings.eval_every or 0) % settings.log_every == 0


@pytest.mark.long
def test_diabetes_linear_finds_least_squares(tmp_path):
    gd.run(config("diabetes_linear"), tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())
    train = gd.data.load("diabetes").train
    design = np.c_[train.inputs, np.ones(len(train.inputs))].astype(np.float64)
    _, residual, _, _ = np.linalg.lstsq(design, train.targets[:, 0], rcond=None)
    least = float(residual[0]) / len(design)
    np.testing.assert_allclose(found["train"]["last"]["loss"], least, rtol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "accuracy"), [("breast_cancer_logistic", 0.94), ("digits_cnn", 0.97)]
)
def test_accuracy_on_the_test_split(name, accuracy, tmp_path):
    gd.run(config(name), tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["test"]["last"]["accuracy"] >= accuracy


@pytest.mark.long
@pytest.mark.parametrize("name", ["stdlib_char_lstm", "stdlib_char_transformer"])
def test_characters_are_learned(name):
    """A tenth of the run: far below the 3.1 nats of single characters' frequencies."""
    job = config(name)
    job.num_steps = 150
    job.eval_every = 150
    assert gd.run(job).history["validation_loss"][-1] < 2.5
