"""Configs: plain JSON data that says which functions to call with which arguments.

`optimizer_from_spec` and `schedule_from_spec` build what gdjax offers, then what Optax
offers; `build`, `resolve` and `call` do it for any modules and functions. A mistake is
reported with the dotted path at which it stands. `describe` shows what data or a
transformation comes to.
"""

from gdjax.config._build import Spec, build, resolve
from gdjax.config._call import call
from gdjax.config._describe import describe
from gdjax.config._spec import optimizer_from_spec, schedule_from_spec

__all__ = [
    "Spec",
    "build",
    "call",
    "describe",
    "optimizer_from_spec",
    "resolve",
    "schedule_from_spec",
]
