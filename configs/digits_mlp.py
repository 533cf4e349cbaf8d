"""The main job: a perceptron on digits, AdamW, warm-up and cosine, clip, SWA."""

from ml_collections import ConfigDict, config_dict


def get_config() -> ConfigDict:
    num_steps = config_dict.FieldReference(1500)
    learning_rate = config_dict.FieldReference(2e-3)
    return ConfigDict(
        {
            "seed": 0,
            "num_steps": num_steps,
            "steps_per_call": 25,
            "log_every": 25,
            "eval_every": 25,
            "dtype": "float32",
            "data": {"name": "digits", "split_seed": 0, "batch_size": 64},
            "model": {
                "name": "mlp",
                "features": (256, 256, 10),
                "activation": "relu",
                "initializer": "he_normal",
                "normalization": config_dict.placeholder(str),
                "dropout": 0.0,
            },
            "criterion": "cross_entropy",
            "optimizer": {
                "name": "adamw",
                "learning_rate": learning_rate,
                "b1": 0.9,
                "b2": 0.999,
                "weight_decay": 1.0,
            },
            "schedule": {
                "name": "warmup_cosine_decay_schedule",
                "init_value": 0.0,
                "peak_value": learning_rate,
                "warmup_steps": num_steps // 10,
                # An entry of its own: to change it leaves num_steps as it is.
                "decay_steps": num_steps.identity(),
                "end_value": learning_rate * 0.5,
            },
            "clip": {"name": "clip_by_global_norm", "max_norm": 1.0},
            "average": {
                "name": "swa",
                "start_step": 3 * num_steps // 4,
                "every": 1,
            },
            "parallel": {"devices": 0, "strategy": "jit"},
        }
    )
