"""What the README says of the main job: its accuracy, one curve on any devices."""

import json

import numpy as np
import pytest
from own_configs import config

import gdjax as gd

pytestmark = pytest.mark.long


def test_accuracy_of_the_average_over_five_splits(tmp_path):
    accuracies = []
    for seed in range(5):
        job = config("digits_mlp")
        job.data.split_seed = seed
        gd.run(job, tmp_path / str(seed))
        results = json.loads((tmp_path / str(seed) / "results.json").read_text())
        accuracies.append(results["test"]["average"]["accuracy"])
    print("test accuracy of the average:", [f"{a:.4f}" for a in accuracies])
    assert np.mean(accuracies) >= 0.973 and min(accuracies) >= 0.96


@pytest.mark.parametrize("strategy", ["jit", "pmap"])
@pytest.mark.parametrize(
    ("optimizer", "dtype", "tolerance"),
    [
        ({"name": "sgd", "momentum": 0.9}, "float32", 1e-5),
        ({"name": "adamw", "weight_decay": 1.0}, "float64", 1e-12),
    ],
    ids=["SGD with momentum", "AdamW in f64"],
)
def test_one_curve_on_one_two_and_four_devices(optimizer, dtype, tolerance, strategy):
    def history(devices):
        job = config("digits_mlp")
        job.num_steps = 100
        job.dtype, job.parallel.strategy = dtype, strategy
        job.parallel.devices = devices
        plain = job.to_dict()
        plain["optimizer"] = {**optimizer, "learning_rate": 2e-3}
        return gd.run(plain).history

    one = history(1)
    for devices in (2, 4):
        other = history(devices)
        for name in ("loss", "validation_loss", "average_validation_loss"):
            np.testing.assert_allclose(
                other[name], one[name], rtol=0, atol=tolerance * max(one[name])
            )
