"""An LSTM on the source of Python's standard library, character by character."""

from ml_collections import ConfigDict, config_dict


def get_config() -> ConfigDict:
    num_steps = config_dict.FieldReference(1500)
    learning_rate = config_dict.FieldReference(1e-2)
    return ConfigDict(
        {
            "seed": 0,
            "num_steps": num_steps,
            "log_every": 50,
            "eval_every": 250,
            "data": {
                "name": "stdlib",
                "batch_size": 32,
                "sequence_length": 64,
                "eval_batch_size": 256,
            },
            "model": {
                "name": "recurrent",
                "cell": "lstm",
                "width": 128,
                "num_outputs": 128,
                "vocabulary": 128,
            },
            "criterion": "cross_entropy",
            "optimizer": {"name": "adam", "learning_rate": learning_rate},
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
