"""gdjax: a functional optimization toolkit for JAX.

Compose transformations at the top level (`import gdjax as gd`); models, data, training
on several devices, plots and the laws that every transformation keeps live in packages:
`gd.models`, `gd.data`, `gd.parallel`, `gd.training`, `gd.diagnostics`, `gd.testing`.
"""

from gdjax import (
    averaging,
    config,
    data,
    diagnostics,
    models,
    optimizers,
    parallel,
    schedules,
    testing,
    training,
    transforms,
    tree,
)
from gdjax.averaging import averaged_params, swa
from gdjax.config import describe
from gdjax.optimizers import adam, adamw, sgd
from gdjax.schedules import constant_schedule, warmup_cosine_decay_schedule
from gdjax.training import (
    Checkpoints,
    EarlyStopping,
    Result,
    TrainState,
    fit,
    init_state,
    make_eval_step,
    make_evaluate,
    make_pmap_train_step,
    make_train_step,
    run,
    supervised,
)
from gdjax.transforms import (
    add_decayed_weights,
    apply_updates,
    chain,
    clip_by_global_norm,
    decay_mask,
    from_rule,
    hand_evaluation,
    identity,
    masked,
    named_chain,
    partition_by_path,
    reduce_on_plateau,
    scale_by_adam,
    scale_by_learning_rate,
    trace,
)
from gdjax.tree import metrics

__version__ = "0.1.0"

__all__ = [
    "Checkpoints",
    "EarlyStopping",
    "Result",
    "TrainState",
    "adam",
    "adamw",
    "add_decayed_weights",
    "apply_updates",
    "averaged_params",
    "averaging",
    "chain",
    "clip_by_global_norm",
    "config",
    "constant_schedule",
    "data",
    "decay_mask",
    "describe",
    "diagnostics",
    "fit",
    "from_rule",
    "hand_evaluation",
    "identity",
    "init_state",
    "make_eval_step",
    "make_evaluate",
    "make_pmap_train_step",
    "make_train_step",
    "masked",
    "metrics",
    "models",
    "named_chain",
    "optimizers",
    "parallel",
    "partition_by_path",
    "reduce_on_plateau",
    "run",
    "scale_by_adam",
    "scale_by_learning_rate",
    "schedules",
    "sgd",
    "supervised",
    "swa",
    "testing",
    "trace",
    "training",
    "transforms",
    "tree",
    "warmup_cosine_decay_schedule",
]
