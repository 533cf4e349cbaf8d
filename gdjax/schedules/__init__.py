"""Schedules: pure functions `step -> value`, each a few lines over one exact ramp.

A step is an int or an integer array, the value f32 (f64 under x64), right to 1e-6 of
the largest value at every int32 step. A schedule holds its end value past its end, its
first before step 0, and may be given wherever a learning rate or a weight decay is
asked for.
"""

from gdjax.schedules._compose import (
    in_epochs,
    join_schedules,
    swa_schedule,
    with_warmup,
)
from gdjax.schedules._cyclical import (
    cosine_onecycle_schedule,
    cyclical_schedule,
    linear_onecycle_schedule,
)
from gdjax.schedules._decay import (
    constant_schedule,
    cosine_decay_schedule,
    linear_schedule,
    polynomial_schedule,
    rex_schedule,
)
from gdjax.schedules._exponential import (
    exponential_decay,
    inverse_sqrt_schedule,
    inverse_time_decay_schedule,
    step_decay_schedule,
)
from gdjax.schedules._piecewise import (
    piecewise_constant_schedule,
    piecewise_interpolate_schedule,
)
from gdjax.schedules._restarts import (
    cosine_restarts_schedule,
    sgdr_schedule,
)
from gdjax.schedules._warmup import (
    warmup_constant_schedule,
    warmup_cosine_decay_schedule,
    warmup_exponential_decay_schedule,
    wsd_schedule,
)

__all__ = [
    "constant_schedule",
    "cosine_decay_schedule",
    "cosine_onecycle_schedule",
    "cosine_restarts_schedule",
    "cyclical_schedule",
    "exponential_decay",
    "in_epochs",
    "inverse_sqrt_schedule",
    "inverse_time_decay_schedule",
    "join_schedules",
    "linear_onecycle_schedule",
    "linear_schedule",
    "piecewise_constant_schedule",
    "piecewise_interpolate_schedule",
    "polynomial_schedule",
    "rex_schedule",
    "sgdr_schedule",
    "step_decay_schedule",
    "swa_schedule",
    "warmup_constant_schedule",
    "warmup_cosine_decay_schedule",
    "warmup_exponential_decay_schedule",
    "with_warmup",
    "wsd_schedule",
]
