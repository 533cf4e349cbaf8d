"""Which devices there are, and where on them a training state and a batch live."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import jax
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from gdjax._checks import integer

State = TypeVar("State")
Report = TypeVar("Report")
Batch: TypeAlias = optax.Params  # any tree of arrays
Shardings: TypeAlias = object  # a `NamedSharding`, or a tree of them


def make_mesh(axes: Mapping[str, int]) -> Mesh:
    """A mesh of the first visible devices, with named axes.

    All axes are `AxisType.Auto`: what a plan leaves open the compiler decides. (A bare
    `jax.make_mesh` gives explicit axes, which ask every operation for its sharding.)

    Args:
      axes: {name: number of devices}, each >= 1; the product is what is used.

    Returns:
      The mesh.

    Raises:
      ValueError: more devices are asked for than are visible, or no axis is named.
      TypeError: a size is no integer.

    Example:
      >>> dict(make_mesh({"data": 1}).shape)
      {'data': 1}
    """
    if not axes:
        raise ValueError("`axes` must name at least one axis, got {}.")
    sizes = [integer(f"axes[{name!r}]", size, 1) for name, size in axes.items()]
    wanted, visible = math.prod(sizes), jax.devices()
    if wanted > len(visible):
        raise ValueError(
            f"`axes` asks for {wanted} devices, but only {len(visible)} "
            f"({visible[0].platform}) are visible; fake ones on a CPU: set XLA_FLAGS="
            f"--xla_force_host_platform_device_count={wanted} before JAX starts."
        )
    types = (AxisType.Auto,) * len(sizes)
    return jax.make_mesh(tuple(sizes), tuple(axes), axis_types=types)


@dataclass(frozen=True)
class Plan:
    """Where a training state lives; batches are split evenly over all devices.

    Attributes:
      mesh: the devices.
      shardings: `state -> shardings`, a `NamedSharding` for each leaf of the state, or
        for all leaves below a node.
    """

    mesh: Mesh
    shardings: Callable[[object], Shardings]

    def place_state(self, state: State) -> State:
        """`state` where the plan wants it; may share memory with `state`."""
        return jax.device_put(state, self.shardings(state))

    def compile_step(
        self,
        step: Callable[[State, Batch], tuple[State, Report]],
        *,
        stacked: bool,
    ) -> Callable[[State, Batch], tuple[State, Report]]:
        """`step` compiled for the plan, its state donated, wherever arguments lie.

        Args:
          step: (state, batch) -> (state, report), written for one device.
          stacked: whether batches have an axis of steps in front of that of examples.

        Raises:
          ValueError: from the call, a batch cannot be split evenly.
        """
        steps = (None,) if stacked else ()
        split = PartitionSpec(*steps, self.mesh.axis_names)
        batches = NamedSharding(self.mesh, split)
        everywhere = NamedSharding(self.mesh, PartitionSpec())
        compiled, place = None, None

        def call(state: State, batch: Batch) -> tuple[State, Report]:
            nonlocal compiled, place
            check_batch(batch, self.mesh.size, stacked=stacked)
            if compiled is None:
                states = self.shardings(state)
                place = jax.tree.leaves(states)[0]
                compiled = jax.jit(
                    step,
                    donate_argnums=0,
                    in_shardings=(states, batches),
                    out_shardings=(states, everywhere),
                )
            # A state from elsewhere would be compiled for anew; one leaf tells, as
            # comparing all of them takes longer than many a step.
            if jax.tree.leaves(state)[0].sharding != place:
                state = self.place_state(state)
            return compiled(state, batch)

        return call


def replicated(mesh: Mesh) -> Plan:
    """The state whole on every device: data parallelism.

    Every device computes the gradient of its share of the batch, and the mean over
    devices, which the compiler inserts, is that of the whole batch: a step is the same
    on any number of devices, up to the order of sums.

    Args:
      mesh: the devices, see `make_mesh`; batches are split over all of its axes.

    Returns:
      The plan, for `sharding=` in `gdjax.training`.

    Example:
      >>> plan = replicated(make_mesh({"data": 1}))
      >>> plan.place_state({"w": jnp.ones(3)})["w"].is_fully_replicated
      True
    """
    everywhere = NamedSharding(mesh, PartitionSpec())
    return Plan(mesh, lambda state: everywhere)


def check_batch(batch: Batch, num_devices: int, *, stacked: bool = False) -> None:
    """Raises ValueError unless every leaf's examples are shared out evenly."""
    for leaf in jax.tree.leaves(batch):
        shape = np.shape(leaf)[stacked:]
        if not shape or shape[0] % num_devices:
            size = shape[0] if shape else "a scalar"
            raise ValueError(
                "the batch size must be a multiple of the number of devices, got "
                f"{size} with {num_devices} devices."
            )
