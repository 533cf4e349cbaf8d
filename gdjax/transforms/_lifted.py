"""The rest of Optax's links and line searches, with the promises of gdjax's own."""

import optax
from optax import contrib

from gdjax.transforms._lawful import lawful

apply_every = lawful(optax.apply_every, sign=1)
keep_params_nonnegative = lawful(optax.keep_params_nonnegative, sign=-1)
normalize_by_update_norm = lawful(optax.normalize_by_update_norm, sign=1)
scale_by_acprop = lawful(contrib.scale_by_acprop, sign=1)
scale_by_backtracking_linesearch = lawful(
    optax.scale_by_backtracking_linesearch, sign=-1
)
scale_by_cocob = lawful(contrib.scale_by_cocob, sign=-1, real_only=True)
scale_by_distance_over_gradients = lawful(
    optax.scale_by_distance_over_gradients, sign=1, real_only=True
)
scale_by_lbfgs = lawful(optax.scale_by_lbfgs, sign=1)
scale_by_madgrad = lawful(contrib.scale_by_madgrad, sign=-1, real_only=True)
scale_by_optimistic_gradient = lawful(optax.scale_by_optimistic_gradient, sign=1)
scale_by_param_block_norm = lawful(optax.scale_by_param_block_norm, sign=1)
scale_by_param_block_rms = lawful(optax.scale_by_param_block_rms, sign=1)
scale_by_polyak = lawful(optax.scale_by_polyak, sign=1)
scale_by_simplified_ademamix = lawful(
    contrib.scale_by_simplified_ademamix, sign=1, real_only=True
)
scale_by_sm3 = lawful(optax.scale_by_sm3, sign=1, real_only=True, scalars=False)
scale_by_zoom_linesearch = lawful(optax.scale_by_zoom_linesearch, sign=-1)
