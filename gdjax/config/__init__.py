"""Configs: plain JSON data that says which functions to call with which arguments.

`optimizer_from_spec` and `schedule_from_spec` build what gdjax offers, then what Optax
offers; `build` and `call` do it for any modules and functions. A mistake is reported
with the dotted path at which it stands.
"""

from gdjax.config._spec import (
    Spec,
    build,
    call,
    optimizer_from_spec,
    schedule_from_spec,
)

__all__ = ["Spec", "build", "call", "optimizer_from_spec", "schedule_from_spec"]
