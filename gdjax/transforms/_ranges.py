"""Which values arguments may have, by name: Optax's, and those that are set later."""

import inspect
import re
from collections.abc import Callable
from typing import Any, TypeAlias

import jax

from gdjax._checks import (
    FINITE,
    NON_NEGATIVE,
    POSITIVE,
    UNIT,
    Range,
    floating,
    integer,
    listed,
    number,
    one_of,
)

# A range of numbers, the least integer, the words allowed, or a check of its own.
Allowed: TypeAlias = Range | int | tuple[str, ...] | Callable[[str, Any], Any]

OPEN = Range("lie in (0, 1)", lambda x: 0 < x < 1)
LIMIT = Range("be > 0", lambda x: x > 0)  # inf: no limit at all
_PART = Range("lie in [0, 1]", lambda x: 0 <= x <= 1)
_SHARE = Range("lie in (0, 1]", lambda x: 0 < x <= 1)


def _decays(name, value):
    return tuple(number(name, b, UNIT) for b in listed(name, value))


def _first_step(name, value):
    kind, *rest = listed(name, value)
    one_of(name, kind, ("distance", "heuristic", "learning_rate"))
    return kind, *(number(name, x, POSITIVE) for x in rest)


def _key(name, value):
    return value if isinstance(value, jax.Array) else integer(name, value, 0)


RANGES: dict[str, Allowed] = {
    "alpha": NON_NEGATIVE,
    "approx_dec_rtol": NON_NEGATIVE,
    "atol": NON_NEGATIVE,
    "b1": UNIT,
    "b2": UNIT,
    "beta": NON_NEGATIVE,
    "betas": _decays,
    "curv_rtol": LIMIT,
    "decay": UNIT,
    "decrease_factor": OPEN,
    "eps": NON_NEGATIVE,
    "eps_root": NON_NEGATIVE,
    "estim_lr0": POSITIVE,
    "eta": NON_NEGATIVE,
    "f_min": FINITE,
    "gamma": NON_NEGATIVE,
    "global_scale": NON_NEGATIVE,
    "increase_factor": LIMIT,
    "init_estim_sq_dist": POSITIVE,
    "init_step": _first_step,
    "initial_guess_strategy": ("keep", "one"),
    "k": 1,
    "key": _key,
    "learning_rate": NON_NEGATIVE,
    "lower_bound": FINITE,
    "max_backtracking_steps": 1,
    "max_learning_rate": LIMIT,
    "max_linesearch_steps": 1,
    "memory_size": 1,
    "min_norm": NON_NEGATIVE,
    "min_scale": NON_NEGATIVE,
    "momo.beta": UNIT,
    "momentum": UNIT,
    "mu_dtype": floating,
    "optimism": NON_NEGATIVE,
    "param_dtype": floating,
    "reps_rel": POSITIVE,
    "rtol": NON_NEGATIVE,
    "scale_factor": POSITIVE,
    "scaling": NON_NEGATIVE,
    "slope_rtol": NON_NEGATIVE,
    "stepsize_precision": NON_NEGATIVE,
    "tol": NON_NEGATIVE,
    "variant": ("sps", "sps+"),
    "weight_decay": NON_NEGATIVE,
}

# What `set_hyperparams` allows, which knows a name and no function: where two functions
# differ, what either takes.
BY_NAME: dict[str, Range] = {
    **{name: allowed for name, allowed in RANGES.items() if isinstance(allowed, Range)},
    "decay": _PART,
    "factor": OPEN,
    "b3": UNIT,
    "beta3": UNIT,
    "clipping": POSITIVE,
    "clipping_threshold": POSITIVE,
    "decay_offset": NON_NEGATIVE,
    "decay_rate": _PART,
    "epsilon": NON_NEGATIVE,
    "estim_lr_coef": POSITIVE,
    "eta_minus": OPEN,
    "eta_plus": Range("be finite and >= 1", lambda x: 1 <= x < float("inf")),
    "floor": _SHARE,
    "initial_accumulator_value": NON_NEGATIVE,
    "initial_scale": NON_NEGATIVE,
    "lamb": NON_NEGATIVE,
    "lr": NON_NEGATIVE,
    "max_delta": POSITIVE,
    "max_norm": POSITIVE,
    "max_step_size": POSITIVE,
    "min_step_size": NON_NEGATIVE,
    "percentile": Range("lie in [0, 100]", lambda x: 0 <= x <= 100),
    "rho": NON_NEGATIVE,
    "slow_step_size": _PART,
    "smooth_beta": POSITIVE,
    "step_offset": NON_NEGATIVE,
    "stop_below": _SHARE,
    "strength": NON_NEGATIVE,
    "temperature": NON_NEGATIVE,
    "threshold": POSITIVE,
    "trust_coefficient": NON_NEGATIVE,
    "warmup": Range("be finite and >= 1", lambda x: 1 <= x < float("inf")),
    "weight_decay_rate": NON_NEGATIVE,
    "weight_lr_power": NON_NEGATIVE,
    "z_threshold": POSITIVE,
}


_UNKNOWN = inspect.Parameter("unknown", inspect.Parameter.KEYWORD_ONLY)


def checked(
    function: str, name: str, value: Any, parameter: inspect.Parameter = _UNKNOWN
) -> Any:
    """`value` as `function` is to get it under `name`; unknown names pass.

    The default passes too, and `None` or a schedule where the annotation has it.

    Raises:
      ValueError, TypeError: it is not allowed; the argument is named.
    """
    allowed = RANGES.get(f"{function}.{name}", RANGES.get(name))
    if allowed is None or _passes(parameter, value, isinstance(allowed, Range)):
        return value
    if isinstance(allowed, Range):
        return number(name, value, allowed)
    if isinstance(allowed, int):
        return integer(name, value, allowed)
    if isinstance(allowed, tuple):
        return one_of(name, value, allowed)
    return allowed(name, value)


def _passes(parameter: inspect.Parameter, value: Any, is_number: bool) -> bool:
    default, hint = parameter.default, str(parameter.annotation)
    if value is None:
        is_known = parameter is not _UNKNOWN
        return not is_known or default is None or bool(re.search("None|Optional", hint))
    if is_number and callable(value):
        return bool(re.search("Callable|Schedule|_empty", hint))
    is_plain = isinstance(value, (int, float, str, tuple))
    return is_plain and type(value) is type(default) and value == default
