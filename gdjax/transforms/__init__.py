"""Links of a chain: gradient transformations in gradient sign, and the learning rate.

One idea a file. Directions keep the gradient's sign: moments (`trace`,
`scale_by_adam`), weight decay, clipping, and whatever `from_rule` lifts from a function
of one array; `scale_by_learning_rate` turns a direction into a step.
`partition_by_path` gives each group of parameters its own; `reduce_on_plateau` scales
either kind down, and `hand_evaluation` tells it how the training goes. `chain`,
`named_chain`, `masked`, `identity` and `apply_updates` are Optax's own.
"""

from optax import (
    apply_updates,
    chain,
    identity,
    masked,
    named_chain,
    set_to_zero,
    stateless,
    stateless_with_tree_map,
)

from gdjax.transforms._adadelta import ScaleByAdaDeltaState, scale_by_adadelta
from gdjax.transforms._adam import ScaleByAdamState, scale_by_adam
from gdjax.transforms._adamax import ScaleByAdamaxState, scale_by_adamax
from gdjax.transforms._adan import ScaleByAdanState, scale_by_adan
from gdjax.transforms._ademamix import ScaleByAdemamixState, scale_by_ademamix
from gdjax.transforms._adopt import ScaleByAdoptState, scale_by_adopt
from gdjax.transforms._amsgrad import ScaleByAmsgradState, scale_by_amsgrad
from gdjax.transforms._belief import ScaleByBeliefState, scale_by_belief
from gdjax.transforms._clip import ClipByGlobalNormState, clip_by_global_norm
from gdjax.transforms._clip_block import clip_by_block_rms
from gdjax.transforms._corrected_decay import (
    CorrectedDecayState,
    corrected_weight_decay,
)
from gdjax.transforms._decay import DecayState, add_decayed_weights, decay_mask
from gdjax.transforms._ema import EmaState, ema
from gdjax.transforms._evaluation import hand_evaluation
from gdjax.transforms._factored_rms import FactoredState, scale_by_factored_rms
from gdjax.transforms._from_rule import FromRuleState, from_rule
from gdjax.transforms._grokfast import GrokfastState, grokfast
from gdjax.transforms._lawful import lawful
from gdjax.transforms._learning_rate import LearningRateState, scale_by_learning_rate
from gdjax.transforms._lifted import (
    apply_every,
    normalize_by_update_norm,
    scale_by_acprop,
    scale_by_backtracking_linesearch,
    scale_by_cocob,
    scale_by_distance_over_gradients,
    scale_by_lbfgs,
    scale_by_madgrad,
    scale_by_optimistic_gradient,
    scale_by_param_block_norm,
    scale_by_param_block_rms,
    scale_by_polyak,
    scale_by_simplified_ademamix,
    scale_by_sm3,
    scale_by_zoom_linesearch,
)
from gdjax.transforms._lion import ScaleByLionState, scale_by_lion
from gdjax.transforms._mars import MarsState, mars
from gdjax.transforms._novograd import ScaleByNovogradState, scale_by_novograd
from gdjax.transforms._partition import PartitionByPathState, partition_by_path
from gdjax.transforms._plateau import ReduceOnPlateauState, reduce_on_plateau
from gdjax.transforms._prodigy import ProdigyState, scale_by_prodigy
from gdjax.transforms._radam import ScaleByRadamState, scale_by_radam
from gdjax.transforms._rms import (
    ScaleByRmsState,
    ScaleByRmsWithCountState,
    ScaleByRStdDevState,
    ScaleByRStdDevWithCountState,
    scale_by_rms,
    scale_by_stddev,
)
from gdjax.transforms._rprop import ScaleByRpropState, scale_by_rprop
from gdjax.transforms._rss import ScaleByRssState, scale_by_rss
from gdjax.transforms._scale import ScaleByScheduleState, scale, scale_by_schedule
from gdjax.transforms._sign import scale_by_sign
from gdjax.transforms._trace import TraceState, trace
from gdjax.transforms._trust_ratio import scale_by_trust_ratio
from gdjax.transforms._yogi import scale_by_yogi

__all__ = [
    "ClipByGlobalNormState",
    "CorrectedDecayState",
    "DecayState",
    "EmaState",
    "FactoredState",
    "FromRuleState",
    "GrokfastState",
    "LearningRateState",
    "MarsState",
    "PartitionByPathState",
    "ProdigyState",
    "ReduceOnPlateauState",
    "ScaleByAdaDeltaState",
    "ScaleByAdamState",
    "ScaleByAdamaxState",
    "ScaleByAdanState",
    "ScaleByAdemamixState",
    "ScaleByAdoptState",
    "ScaleByAmsgradState",
    "ScaleByBeliefState",
    "ScaleByLionState",
    "ScaleByNovogradState",
    "ScaleByRStdDevState",
    "ScaleByRStdDevWithCountState",
    "ScaleByRadamState",
    "ScaleByRmsState",
    "ScaleByRmsWithCountState",
    "ScaleByRpropState",
    "ScaleByRssState",
    "ScaleByScheduleState",
    "TraceState",
    "add_decayed_weights",
    "apply_every",
    "apply_updates",
    "chain",
    "clip_by_block_rms",
    "clip_by_global_norm",
    "corrected_weight_decay",
    "decay_mask",
    "ema",
    "from_rule",
    "grokfast",
    "hand_evaluation",
    "identity",
    "lawful",
    "mars",
    "masked",
    "named_chain",
    "normalize_by_update_norm",
    "partition_by_path",
    "reduce_on_plateau",
    "scale",
    "scale_by_acprop",
    "scale_by_adadelta",
    "scale_by_adam",
    "scale_by_adamax",
    "scale_by_adan",
    "scale_by_ademamix",
    "scale_by_adopt",
    "scale_by_amsgrad",
    "scale_by_backtracking_linesearch",
    "scale_by_belief",
    "scale_by_cocob",
    "scale_by_distance_over_gradients",
    "scale_by_factored_rms",
    "scale_by_lbfgs",
    "scale_by_learning_rate",
    "scale_by_lion",
    "scale_by_madgrad",
    "scale_by_novograd",
    "scale_by_optimistic_gradient",
    "scale_by_param_block_norm",
    "scale_by_param_block_rms",
    "scale_by_polyak",
    "scale_by_prodigy",
    "scale_by_radam",
    "scale_by_rms",
    "scale_by_rprop",
    "scale_by_rss",
    "scale_by_schedule",
    "scale_by_sign",
    "scale_by_simplified_ademamix",
    "scale_by_sm3",
    "scale_by_stddev",
    "scale_by_trust_ratio",
    "scale_by_yogi",
    "scale_by_zoom_linesearch",
    "set_to_zero",
    "stateless",
    "stateless_with_tree_map",
    "trace",
]
