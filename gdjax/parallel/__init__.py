"""Several devices: a mesh of them, and plans that say where a state and a batch live.

`make_mesh` names the devices; `replicated` keeps the state whole on each of them and
splits the batch. `gdjax.training` takes a plan as `sharding=`.
"""

from gdjax.parallel._plan import Plan, check_batch, make_mesh, replicated

__all__ = ["Plan", "check_batch", "make_mesh", "replicated"]
