"""The config of a run as plain data, and as checked values."""

import json

import numpy as np
import pytest
from ml_collections import ConfigDict, config_dict

import gdjax as gd
from gdjax.training._config import CheckpointConfig, ParallelConfig, plain, read

CONFIG = {
    "num_steps": 20,
    "data": {"name": "digits", "batch_size": 32},
    "model": {"name": "mlp", "features": [10]},
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
}


def test_all_kinds_of_configs_become_the_same_json_data():
    steps = config_dict.FieldReference(40)
    config = ConfigDict(
        {
            **CONFIG,
            "num_steps": steps // 2,
            "model": {"name": "mlp", "features": (np.int64(10),)},
            "optimizer": {"name": "sgd", "learning_rate": np.float64(0.1)},
            "metric": config_dict.placeholder(str),
        }
    )
    made = plain(config)
    assert made == {**CONFIG, "metric": None} and json.loads(json.dumps(made)) == made
    assert plain({**CONFIG, "model": config.model}) == CONFIG
    assert plain({**CONFIG, "provenance": {"seed": 3}}) == CONFIG
    steps.set(20)
    assert plain(config)["num_steps"] == 10


@pytest.mark.parametrize(
    "config, sentence",
    [
        (None, "`config` must be a dict, got None."),
        ([1], "`config` must be a dict, got [1]."),
        ({"a": {2: 3}}, "`config.a` must have strings as keys, got 2."),
        ({"a": [1, {2}]}, "`config.a.1` must be JSON data, got a set."),
        (
            {"a": gd.sgd(0.1)},
            "`config.a` must be JSON data, got a GradientTransformationExtraArgs.",
        ),
        (
            ConfigDict({"a": {"b": config_dict.required_placeholder(int)}}),
            "`config.a.b` is missing: None value found in required reference.",
        ),
    ],
)
def test_what_is_no_json_data(config, sentence):
    with pytest.raises(ValueError) as caught:
        plain(config)
    assert str(caught.value) == sentence


def test_defaults_and_parts():
    config = read(CONFIG)
    assert config.parallel == ParallelConfig(0, "jit")
    assert config.checkpoint == CheckpointConfig(30.0, None, 2)
    config = read({**CONFIG, "num_steps": 1e3, "checkpoint": {"every_steps": 5.0}})
    assert config.num_steps == 1000 and isinstance(config.num_steps, int)
    assert config.checkpoint == CheckpointConfig(every_steps=5)
