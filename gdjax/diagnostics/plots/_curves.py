"""The curves of a run: loss, accuracy, learning rate and gradient norm by step."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gdjax._extras import need
from gdjax.diagnostics.plots._figure import check_ending, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TRAIN, _VALIDATION, _AVERAGE = "#4c78a8", "#e4572e", "#2a9d6f"


def plot_curves(
    history: Mapping[str, Sequence[float]],
    path: str | os.PathLike[str],
    *,
    average_start: int | None = None,
    loss_label: str = "loss",
    title: str | None = None,
) -> None:
    """Draws a training history: loss, accuracy, learning rate, gradient norm by step.

    Metrics of single batches are drawn lightly, with their running mean over a
    twentieth of the run on top; those of the validation split as they are. The axes of
    loss and gradient norm are logarithmic. A panel without data says so.

    Args:
      history: as `gdjax.training.fit` returns it: `step`, and whatever there is of
        `loss` and `accuracy`, alone, with `validation_` or with `average_validation_`
        before it (of the averaged weights), `learning_rate` (drawn times
        `plateau_scale`), `grad_norm` and `clip_factor`.
      path: of the picture, ending in .png or .svg.
      average_start: the step at which averaging starts: it is marked, and curves of
        the averaged weights begin there.
      loss_label: of the loss's axis, with its unit.
      title: above the picture.

    Raises:
      ValueError: `history` has no `step`, or `path` has another ending.
      ImportError: matplotlib is not installed.

    Example:
      >>> import tempfile, pathlib
      >>> path = pathlib.Path(tempfile.mkdtemp()) / "curves.svg"
      >>> plot_curves({"step": [10, 20], "loss": [1.0, 0.5]}, path)
      >>> path.read_text()[:5]
      '<?xml'
    """
    check_ending(path)
    if "step" not in history:
        raise ValueError(f"`history` must have `step`, got {sorted(history)}.")
    columns = {name: np.asarray(column, float) for name, column in history.items()}
    step = columns["step"]
    if average_start is not None:
        for name in columns:
            if name.startswith("average_"):
                columns[name] = np.where(step > average_start, columns[name], np.nan)

    figure = need("matplotlib.figure", "run").Figure((11, 7), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    (loss, accuracy), (rate, norm) = panels
    _splits(loss, columns, "loss", 1)
    loss.set(title="Loss", ylabel=loss_label)
    _log_scale(loss)
    _splits(accuracy, columns, "accuracy", 100)
    accuracy.set(title="Accuracy", ylabel="accuracy [%]")
    _zoom_on_the_end(accuracy)
    scaled = columns.get("learning_rate")
    if scaled is not None:
        scaled = scaled * columns.get("plateau_scale", 1.0)
    _curve(rate, step, scaled, _TRAIN)
    rate.set(
        title="Learning rate", ylabel="learning rate", xlabel="step", ylim=(0, None)
    )
    rate.ticklabel_format(axis="y", scilimits=(-2, 3), useMathText=True)
    _curve(norm, step, columns.get("grad_norm"), _TRAIN, noisy=True)
    if "grad_norm" in columns and "clip_factor" in columns:
        clipped = columns["clip_factor"] < 1
        if clipped.any():
            at = step[clipped], columns["grad_norm"][clipped]
            norm.plot(*at, ".", color=_VALIDATION, label="clipped")
    norm.set(title="Gradient norm", ylabel="global gradient norm", xlabel="step")
    _log_scale(norm)

    named = {}
    for axes in panels.flat:
        plain(axes)
        if not axes.lines:
            axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes)
        if average_start is not None:
            label = f"averaging from step {average_start:,}"
            axes.axvline(average_start, color=_AVERAGE, ls=":", lw=1.5, label=label)
        handles, labels = axes.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    if named:
        figure.legend(
            named.values(), named.keys(), loc="outside lower center", ncols=len(named)
        )
    if title is not None:
        figure.suptitle(title)
    figure.savefig(path, dpi=150)


def _splits(
    axes: "Axes", columns: Mapping[str, np.ndarray], name: str, scale: float
) -> None:
    """The curves of one metric: training, validation, averaged weights."""
    for key, label, color in (
        (name, "train (running mean)", _TRAIN),
        (f"validation_{name}", "validation", _VALIDATION),
        (f"average_validation_{name}", "validation, averaged weights", _AVERAGE),
    ):
        values = scale * columns[key] if key in columns else None
        _curve(axes, columns["step"], values, color, label, noisy=key == name)


def _curve(
    axes: "Axes",
    step: np.ndarray,
    values: np.ndarray | None,
    color: str,
    label: str | None = None,
    *,
    noisy: bool = False,
) -> None:
    if values is None or not np.isfinite(values).any():
        return
    there = np.isfinite(values)
    step, values = step[there], values[there]
    if noisy:
        axes.plot(step, values, color=color, lw=0.8, alpha=0.4)
        kernel = np.ones(max(1, len(values) // 20))
        # Divided by how many there are, which is fewer at the ends.
        values = np.convolve(values, kernel, "same")
        values /= np.convolve(np.ones(len(step)), kernel, "same")
    axes.plot(step, values, color=color, lw=1.8, label=label)


def _log_scale(axes: "Axes") -> None:
    drawn = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    if drawn and min(values.min(initial=np.inf) for values in drawn) > 0:
        axes.set_yscale("log")


def _zoom_on_the_end(axes: "Axes") -> None:
    """Leaves out the steep start, where nothing can be told apart."""
    ends = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    ends = [values[len(values) // 10 :] for values in ends]
    if ends:
        low = min(values.min(initial=100) for values in ends)
        axes.set_ylim(low - 0.05 * (100 - low), 100 + 0.05 * (100 - low))
