"""Averages of the iterates, and what makes predictions of them.

Wrappers of an optimizer: `swa`, `ema_params`, `lawa` and `snapshots` leave its steps
alone and keep a mean of where they lead, or these places themselves; `lookahead` and
`schedule_free` also step by it. `averaged_params` finds an average at any depth of an
optimizer's state, `stacked_params` what was kept, for `ensemble_predict`;
`recalibrate_batch_stats` gives batch norms the statistics that belong to it.
"""

from gdjax.averaging._average import average_names, averaged_params
from gdjax.averaging._ema_params import EmaParamsState, ema_params
from gdjax.averaging._ensemble import ensemble_predict
from gdjax.averaging._lookahead import LookaheadState, lookahead
from gdjax.averaging._recalibrate import recalibrate_batch_stats
from gdjax.averaging._schedule_free import ScheduleFreeState, schedule_free
from gdjax.averaging._snapshots import (
    LawaState,
    SnapshotsState,
    lawa,
    snapshots,
    stacked_params,
)
from gdjax.averaging._swa import SwaState, swa

__all__ = [
    "EmaParamsState",
    "LawaState",
    "LookaheadState",
    "ScheduleFreeState",
    "SnapshotsState",
    "SwaState",
    "average_names",
    "averaged_params",
    "ema_params",
    "ensemble_predict",
    "lawa",
    "lookahead",
    "recalibrate_batch_stats",
    "schedule_free",
    "snapshots",
    "stacked_params",
    "swa",
]
