"""Training: the state of a run, compiled steps, the loop, and whole runs of a config.

`init_state` makes the state, `make_train_step` or `make_pmap_train_step` the step,
`fit` repeats it and keeps the history, with `EarlyStopping` and `Checkpoints` where
they are wanted; `supervised` turns a model into the loss that they take. `run` does all
of it from one config, as `experiments/train.py` does.
"""

from gdjax.training._averaged import averaged_state
from gdjax.training._cache import enable_compilation_cache
from gdjax.training._calls import Batches
from gdjax.training._checkpoints import Checkpoints
from gdjax.training._evaluate import make_evaluate
from gdjax.training._loop import Log, Result, fit
from gdjax.training._pmap import make_pmap_train_step
from gdjax.training._rows import Rows
from gdjax.training._run import run
from gdjax.training._state import TrainState, init_state
from gdjax.training._step import TrainStep, make_eval_step, make_train_step
from gdjax.training._stopping import EarlyStopping, StoppingState
from gdjax.training._supervised import LossFn, freeze, supervised

__all__ = [
    "Batches",
    "Checkpoints",
    "EarlyStopping",
    "Log",
    "LossFn",
    "Result",
    "Rows",
    "StoppingState",
    "TrainState",
    "TrainStep",
    "averaged_state",
    "enable_compilation_cache",
    "fit",
    "freeze",
    "init_state",
    "make_eval_step",
    "make_evaluate",
    "make_pmap_train_step",
    "make_train_step",
    "run",
    "supervised",
]
