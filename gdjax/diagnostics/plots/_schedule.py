"""Schedules as curves over their steps, one panel or several."""

import itertools
import os
from collections.abc import Mapping
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdjax._checks import integer
from gdjax._extras import need
from gdjax.diagnostics.plots._figure import check_ending, plain

Curves: TypeAlias = Mapping[str, optax.Schedule]

_LOOKS = 2000  # steps at which a long schedule is looked at
_COLUMNS = 4


def plot_schedule(
    schedules: optax.Schedule | Curves | Mapping[str, Curves],
    num_steps: int,
    path: str | os.PathLike[str],
    *,
    value_label: str = "learning rate",
    step_label: str = "step",
    title: str | None = None,
) -> None:
    """Draws schedules: their values from step 0 to num_steps.

    Long ones are looked at at 2000 steps. One program computes all values.

    Args:
      schedules: one; or {label: schedule}, curves in one panel; or
        {panel: {label: schedule}}, a panel each.
      num_steps: the last step drawn, >= 1.
      path: of the picture, ending in .png or .svg.
      value_label, step_label: of the axes.
      title: above the picture.

    Raises:
      ValueError: there is no schedule, `num_steps` lies outside its range, or `path`
        has another ending.
      TypeError: what is to be drawn is no schedule, or `num_steps` no integer.
      ImportError: matplotlib is not installed.

    Example:
      >>> import tempfile, pathlib
      >>> path = pathlib.Path(tempfile.mkdtemp()) / "schedules.svg"
      >>> plot_schedule({"rex": gd.rex_schedule(0.1, 80)}, 100, path)
      >>> path.read_text()[:5]
      '<?xml'
    """
    check_ending(path)
    num_steps = integer("num_steps", num_steps, 1)
    panels = _panels(schedules)
    step = np.unique(np.linspace(0, num_steps, _LOOKS).astype(np.int32))
    values = _values(panels, step)

    columns = min(len(panels), _COLUMNS)
    rows = -(-len(panels) // columns)
    size = (3.2 * columns, 2.5 * rows) if len(panels) > 1 else (7.0, 4.0)
    figure = need("matplotlib.figure", "run").Figure(size, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for axes, name in itertools.zip_longest(grid.flat, panels):
        if name is None:
            axes.set_axis_off()
            continue
        for label in panels[name]:
            axes.plot(step, values[name][label], lw=1.8, label=label)
        axes.margins(x=0)
        plain(axes)
        labels = [label for label in panels[name] if label]
        if labels:  # in lines of three between the title and the curves
            axes.legend(
                loc="lower left",
                bbox_to_anchor=(0, 1),
                ncols=3,
                fontsize="small",
                frameon=False,
                handlelength=1,
                columnspacing=1,
                borderaxespad=0,
                borderpad=0.2,
            )
        above = 14 * -(-len(labels) // 3) + 4  # points
        axes.set_title(name, loc="left", pad=above, fontsize="medium", weight="bold")
    figure.supxlabel(step_label)
    figure.supylabel(value_label)
    if title is not None:
        figure.suptitle(title)
    figure.savefig(path, dpi=120)


def _panels(
    schedules: optax.Schedule | Curves | Mapping[str, Curves],
) -> dict[str, Curves]:
    """{panel: {label: schedule}}, where "" is a name that is not written."""
    panels: dict = (
        dict(schedules) if isinstance(schedules, Mapping) else {"": schedules}
    )
    if not all(isinstance(curves, Mapping) for curves in panels.values()):
        panels = {"": panels}
    if not all(panels.values()) or not panels:
        raise ValueError("`schedules` must have a schedule for each panel, got none.")
    for panel, curves in panels.items():
        for label, schedule in curves.items():
            if not callable(schedule):
                place = "".join(f"[{key!r}]" for key in (panel, label) if key)
                raise TypeError(
                    f"`schedules{place}` must be a schedule, got {schedule!r}."
                )
    return panels


def _values(
    panels: Mapping[str, Curves], step: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    def read(at: jax.Array) -> dict[str, dict[str, jax.Array]]:
        value = lambda schedule: jnp.asarray(schedule(at), float)
        return {
            panel: {label: value(schedule) for label, schedule in curves.items()}
            for panel, curves in panels.items()
        }

    return jax.device_get(jax.jit(lambda step: jax.lax.map(read, step))(step))
