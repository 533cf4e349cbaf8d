"""Links of a chain: gradient transformations in gradient sign, and the learning rate.

One idea a file. Directions keep the gradient's sign: moments (`trace`,
`scale_by_adam`), weight decay, clipping, and whatever `from_rule` lifts from a function
of one array; `scale_by_learning_rate` turns a direction into a step.
`partition_by_path` gives each group of parameters its own; `reduce_on_plateau` scales
either kind down, and `hand_evaluation` tells it how the training goes. `chain`,
`named_chain`, `masked`, `identity` and `apply_updates` are Optax's own.
"""

from optax import apply_updates, chain, identity, masked, named_chain

from gdjax.transforms._adam import ScaleByAdamState, scale_by_adam
from gdjax.transforms._clip import ClipByGlobalNormState, clip_by_global_norm
from gdjax.transforms._decay import DecayState, add_decayed_weights, decay_mask
from gdjax.transforms._evaluation import hand_evaluation
from gdjax.transforms._from_rule import FromRuleState, from_rule
from gdjax.transforms._learning_rate import LearningRateState, scale_by_learning_rate
from gdjax.transforms._partition import PartitionByPathState, partition_by_path
from gdjax.transforms._plateau import ReduceOnPlateauState, reduce_on_plateau
from gdjax.transforms._trace import TraceState, trace

__all__ = [
    "ClipByGlobalNormState",
    "DecayState",
    "FromRuleState",
    "LearningRateState",
    "PartitionByPathState",
    "ReduceOnPlateauState",
    "ScaleByAdamState",
    "TraceState",
    "add_decayed_weights",
    "apply_updates",
    "chain",
    "clip_by_global_norm",
    "decay_mask",
    "from_rule",
    "hand_evaluation",
    "identity",
    "masked",
    "named_chain",
    "partition_by_path",
    "reduce_on_plateau",
    "scale_by_adam",
    "scale_by_learning_rate",
    "trace",
]
