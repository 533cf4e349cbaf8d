"""Logistic regression on breast cancer data: convex, one minimum."""

from ml_collections import ConfigDict, config_dict


def get_config() -> ConfigDict:
    num_steps = config_dict.FieldReference(2000)
    learning_rate = config_dict.FieldReference(0.1)
    return ConfigDict(
        {
            "seed": 0,
            "num_steps": num_steps,
            "log_every": 50,
            "eval_every": 50,
            "steps_per_call": 50,
            "data": {"name": "breast_cancer", "batch_size": 32},
            "model": {"name": "mlp", "features": (2,)},
            "criterion": "cross_entropy",
            "optimizer": {
                "name": "sgd",
                "learning_rate": learning_rate,
                "momentum": 0.9,
            },
            "schedule": {
                "name": "cosine_decay_schedule",
                "init_value": learning_rate,
                "decay_steps": num_steps.identity(),
            },
        }
    )
