"""Linear regression on diabetes data by gradient descent on all examples."""

from ml_collections import ConfigDict, config_dict


def get_config() -> ConfigDict:
    num_steps = config_dict.FieldReference(2000)
    learning_rate = config_dict.FieldReference(0.2)
    return ConfigDict(
        {
            "seed": 0,
            "num_steps": num_steps,
            "log_every": 50,
            "eval_every": 50,
            "steps_per_call": 50,
            "data": {"name": "diabetes", "batch_size": "full"},
            "model": {"name": "mlp", "features": (1,)},
            "criterion": "mse",
            "optimizer": {"name": "sgd", "learning_rate": learning_rate},
            "schedule": {
                "name": "constant_schedule",
                "value": learning_rate,
            },
        }
    )
