"""A small causal transformer on the source of Python's standard library."""

from ml_collections import ConfigDict, config_dict


def get_config() -> ConfigDict:
    num_steps = config_dict.FieldReference(1500)
    learning_rate = config_dict.FieldReference(3e-3)
    return ConfigDict(
        {
            "seed": 0,
            "num_steps": num_steps,
            "log_every": 50,
            "eval_every": 250,
            "data": {
                "name": "stdlib",
                "batch_size": 16,
                "sequence_length": 64,
                "eval_batch_size": 256,
            },
            "model": {
                "name": "transformer",
                "vocabulary": 128,
                "width": 96,
                "depth": 2,
                "heads": 4,
            },
            "criterion": "cross_entropy",
            "optimizer": {
                "name": "adamw",
                "learning_rate": learning_rate,
                "weight_decay": 0.1,
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
