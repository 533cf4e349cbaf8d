"""Links of a chain: gradient transformations in gradient sign, and the learning rate.

One idea a file. Directions keep the gradient's sign: moments (`trace`,
`scale_by_adam`), weight decay, clipping, and whatever `from_rule` lifts from a function
of one array; `scale_by_learning_rate` turns a direction into a step.
`partition_by_path` gives each group of parameters its own; `reduce_on_plateau` scales
either kind down, and `hand_evaluation` tells it how the training goes. `chain`,
`named_chain`, `masked`, `identity` and `apply_updates` are Optax's own.
"""

from optax import (
    MultiSteps,
    apply_if_finite,
    apply_updates,
    chain,
    conditionally_mask,
    conditionally_transform,
    flatten,
    freeze,
    identity,
    masked,
    measure_with_ema,
    multi_transform,
    named_chain,
    partition,
    per_example_global_norm_clip,
    per_example_layer_norm_clip,
    selective_transform,
    set_to_zero,
    skip_large_updates,
    skip_not_finite,
    snapshot,
    stateless,
    stateless_with_tree_map,
    zero_nans,
)

from gdjax.transforms._accumulate import AccumulateState, accumulate
from gdjax.transforms._adadelta import ScaleByAdaDeltaState, scale_by_adadelta
from gdjax.transforms._adam import ScaleByAdamState, scale_by_adam
from gdjax.transforms._adamax import ScaleByAdamaxState, scale_by_adamax
from gdjax.transforms._adan import ScaleByAdanState, scale_by_adan
from gdjax.transforms._adaptive_clip import adaptive_grad_clip
from gdjax.transforms._ademamix import ScaleByAdemamixState, scale_by_ademamix
from gdjax.transforms._adopt import ScaleByAdoptState, scale_by_adopt
from gdjax.transforms._amsgrad import ScaleByAmsgradState, scale_by_amsgrad
from gdjax.transforms._autoclip import AutoClipState, autoclip
from gdjax.transforms._belief import ScaleByBeliefState, scale_by_belief
from gdjax.transforms._cautious import CautiousState, cautious
from gdjax.transforms._cautious_decay import cautious_weight_decay
from gdjax.transforms._centralize import centralize
from gdjax.transforms._clip import ClipByGlobalNormState, clip_by_global_norm
from gdjax.transforms._clip_block import (
    clip_by_block_norm,
    clip_by_block_rms,
    normalize_by_block_norm,
)
from gdjax.transforms._clip_value import ClipByValueState, clip
from gdjax.transforms._clipped import ClipState
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
from gdjax.transforms._guard import GuardState, guard
from gdjax.transforms._hyperparams import (
    InjectStatefulHyperparamsState,
    inject_hyperparams,
)
from gdjax.transforms._independent_decay import (
    IndependentDecayState,
    independent_decay,
)
from gdjax.transforms._l1 import ProximalL1State, add_l1_subgradient, proximal_l1
from gdjax.transforms._lawful import lawful
from gdjax.transforms._layerwise_decay import LayerwiseDecayState, layerwise_decay
from gdjax.transforms._learning_rate import LearningRateState, scale_by_learning_rate
from gdjax.transforms._lifted import (
    apply_every,
    keep_params_nonnegative,
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
from gdjax.transforms._mask_by_path import mask_by_path
from gdjax.transforms._monitor import MonitorState, monitor
from gdjax.transforms._noise import AddNoiseState, LangevinState, add_noise, langevin
from gdjax.transforms._novograd import ScaleByNovogradState, scale_by_novograd
from gdjax.transforms._partition import PartitionByPathState, partition_by_path
from gdjax.transforms._plateau import ReduceOnPlateauState, reduce_on_plateau
from gdjax.transforms._prodigy import ProdigyState, scale_by_prodigy
from gdjax.transforms._project import ProjectState, project
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
from gdjax.transforms._sam import SamState, sam
from gdjax.transforms._scale import ScaleByScheduleState, scale, scale_by_schedule
from gdjax.transforms._set_hyperparams import get_hyperparams, set_hyperparams
from gdjax.transforms._sign import scale_by_sign
from gdjax.transforms._trace import TraceState, trace
from gdjax.transforms._trust_ratio import scale_by_trust_ratio
from gdjax.transforms._yogi import scale_by_yogi
from gdjax.transforms._zclip import ZClipState, zclip

__all__ = [
    "AccumulateState",
    "AddNoiseState",
    "AutoClipState",
    "CautiousState",
    "ClipByGlobalNormState",
    "ClipByValueState",
    "ClipState",
    "CorrectedDecayState",
    "DecayState",
    "EmaState",
    "FactoredState",
    "FromRuleState",
    "GrokfastState",
    "GuardState",
    "IndependentDecayState",
    "InjectStatefulHyperparamsState",
    "LangevinState",
    "LayerwiseDecayState",
    "LearningRateState",
    "MarsState",
    "MonitorState",
    "MultiSteps",
    "PartitionByPathState",
    "ProdigyState",
    "ProjectState",
    "ProximalL1State",
    "ReduceOnPlateauState",
    "SamState",
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
    "ZClipState",
    "accumulate",
    "adaptive_grad_clip",
    "add_decayed_weights",
    "add_l1_subgradient",
    "add_noise",
    "apply_every",
    "apply_if_finite",
    "apply_updates",
    "autoclip",
    "cautious",
    "cautious_weight_decay",
    "centralize",
    "chain",
    "clip",
    "clip_by_block_norm",
    "clip_by_block_rms",
    "clip_by_global_norm",
    "conditionally_mask",
    "conditionally_transform",
    "corrected_weight_decay",
    "decay_mask",
    "ema",
    "flatten",
    "freeze",
    "from_rule",
    "get_hyperparams",
    "grokfast",
    "guard",
    "hand_evaluation",
    "identity",
    "independent_decay",
    "inject_hyperparams",
    "keep_params_nonnegative",
    "langevin",
    "lawful",
    "layerwise_decay",
    "mars",
    "mask_by_path",
    "masked",
    "measure_with_ema",
    "monitor",
    "multi_transform",
    "named_chain",
    "normalize_by_block_norm",
    "normalize_by_update_norm",
    "partition",
    "partition_by_path",
    "per_example_global_norm_clip",
    "per_example_layer_norm_clip",
    "project",
    "proximal_l1",
    "reduce_on_plateau",
    "sam",
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
    "selective_transform",
    "set_hyperparams",
    "set_to_zero",
    "skip_large_updates",
    "skip_not_finite",
    "snapshot",
    "stateless",
    "stateless_with_tree_map",
    "trace",
    "zclip",
    "zero_nans",
]
