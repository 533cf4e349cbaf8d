"""The learning rates of a config: where they stand, and that they never fail a run."""

import inspect
from collections.abc import Iterator, Mapping

import jax
import numpy as np

from gdjax.config import Spec, optimizer_from_spec, resolve, schedule_from_spec
from gdjax.training._config import Config

_LOOKS = 1000  # steps at which a schedule is looked at
_ROUNDING = 1e-6  # of the largest rate


def scheduled(config: Config) -> Spec:
    """The optimizer's spec, its learning rate the config's schedule if there is one.

    Raises:
      ValueError: a schedule that serves as a learning rate is negative or not finite
        somewhere in the run; or the optimizer takes none.
    """
    spec, path = config.optimizer, "config.optimizer"
    schedules = dict(_schedules(spec, path))
    if config.schedule is not None:
        spec = _with_schedule(config)
        schedules |= {"config.schedule": config.schedule}
    for path, schedule in schedules.items():
        _check(path, schedule, config.num_steps)
    return spec


def _with_schedule(config: Config) -> Spec:
    spec, path = config.optimizer, "config.optimizer"
    replaced = None
    if isinstance(spec, Mapping) and "name" in spec:
        factory = resolve(spec["name"], path=f"{path}.name")
        if "learning_rate" in inspect.signature(factory).parameters:
            schedule = schedule_from_spec(config.schedule, path="config.schedule")
            replaced = {**spec, "learning_rate": schedule}
            if "learning_rate" not in spec:
                return replaced
    optimizer_from_spec(spec, path=path)  # a rate that is replaced must be right too
    if replaced is None:
        raise ValueError(
            "`config.schedule` replaces the `learning_rate` of a named optimizer, and "
            f"`{path}` has none: write the schedule in place of the rate there."
        )
    return replaced


def _schedules(spec: Spec, path: str) -> Iterator[tuple[str, Spec]]:
    """The schedules that serve as learning rates anywhere in `spec`, by place."""
    entries = spec.items() if isinstance(spec, Mapping) else ()
    for key, value in enumerate(spec) if isinstance(spec, list) else entries:
        if key == "learning_rate" and isinstance(value, Mapping):
            yield f"{path}.{key}", value
        else:
            yield from _schedules(value, f"{path}.{key}")


def _check(path: str, spec: Spec, num_steps: int) -> None:
    schedule = schedule_from_spec(spec, path=path)
    steps = np.unique(np.linspace(0, num_steps - 1, _LOOKS).astype(np.int32))
    rates = np.asarray(jax.jit(jax.vmap(schedule))(steps))
    # One that falls to zero may end a rounding error below it.
    lowest = -_ROUNDING * np.abs(rates).max()
    bad = ~np.isfinite(rates) | (rates < lowest)
    if bad.any():
        first = bad.argmax()
        raise ValueError(
            f"`{path}` must be finite and >= 0 at every step, is {rates[first]} at "
            f"step {steps[first]}."
        )
