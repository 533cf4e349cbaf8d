"""Trees of parameters: names of leaves, the lift of a rule, exact norms, metrics.

Every transformation stands on this package: `map_rule` lifts mathematics written for
one array to trees, `ema` and `over_root` are what such mathematics is made of,
`zeros_like` makes its state, `global_norm` and `next_params` keep
what the plain forms lose, `path_name` and `select` speak of leaves by name, `unit_axes`
finds the weights of one output, `metrics` collects what states have to say.
"""

from gdjax.tree._metrics import metrics
from gdjax.tree._moments import ema, ema_sq, ema_weight, over_root, ratio, unbiased
from gdjax.tree._numerics import (
    abs_sq,
    as_wide_as,
    compute_dtype,
    global_norm,
    leaf_norm,
    leaf_norms,
    next_params,
    real_dtype,
)
from gdjax.tree._paths import Tree, is_absent, named_leaves, nodes, path_name, select
from gdjax.tree._rule import (
    full_like,
    map_rule,
    require_floating,
    require_scalar,
    stored,
    widened,
    zeros_like,
)
from gdjax.tree._units import (
    Units,
    biases_and_scales,
    per_unit,
    reduced,
    unit_axes,
)

__all__ = [
    "Tree",
    "Units",
    "abs_sq",
    "as_wide_as",
    "biases_and_scales",
    "compute_dtype",
    "ema",
    "ema_sq",
    "ema_weight",
    "full_like",
    "global_norm",
    "is_absent",
    "leaf_norm",
    "leaf_norms",
    "map_rule",
    "metrics",
    "named_leaves",
    "next_params",
    "nodes",
    "over_root",
    "path_name",
    "per_unit",
    "ratio",
    "real_dtype",
    "reduced",
    "require_floating",
    "require_scalar",
    "select",
    "stored",
    "unbiased",
    "unit_axes",
    "widened",
    "zeros_like",
]
