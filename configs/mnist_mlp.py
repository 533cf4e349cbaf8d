"""A perceptron on MNIST, from files in `--data_dir`."""

from ml_collections import ConfigDict, config_dict


def get_config() -> ConfigDict:
    num_steps = config_dict.FieldReference(4000)
    learning_rate = config_dict.FieldReference(1e-3)
    return ConfigDict(
        {
            "seed": 0,
            "num_steps": num_steps,
            "log_every": 100,
            "eval_every": 500,
            "steps_per_call": 20,
            "data": {"name": "mnist", "batch_size": 128},
            "model": {"name": "mlp", "features": (256, 256, 10), "dropout": 0.2},
            "criterion": "cross_entropy",
            "optimizer": {
                "name": "adamw",
                "learning_rate": learning_rate,
                "weight_decay": 1e-2,
            },
            "schedule": {
                "name": "warmup_cosine_decay_schedule",
                "init_value": 0.0,
                "peak_value": learning_rate,
                "warmup_steps": num_steps // 20,
                "decay_steps": num_steps.identity(),
            },
            "clip": {"name": "clip_by_global_norm", "max_norm": 1.0},
        }
    )
