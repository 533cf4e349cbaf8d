"""The two figures of `weight_averaging.py`."""

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

BLUE, ORANGE, RED = "#4c78a8", "#e9a23b", "#d1495b"


def methods(found):
    """Test losses of all methods, a point for each seed."""
    figure = Figure((11, 6), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True)
    for axes, (name, f) in zip(panels, found.items(), strict=True):
        for place, rows in enumerate(f.ends.values()):
            if "uncalibrated" in rows[0]:
                label = "statistics of the last iterate"
                _points(axes, rows, "uncalibrated", place + 0.15, ORANGE, label)
                label = "its own statistics"
            else:
                label = "each seed"
            _points(axes, rows, "test", place - 0.15, BLUE, label)
        axes.set(
            title=f"{name} on digits",
            xlabel="test cross-entropy [nats]",
            xscale="log",
            yticks=range(len(f.ends)),
            yticklabels=f.ends,
        )
        _plain_log(axes.xaxis)
        handles, labels = axes.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        axes.legend(unique.values(), unique, fontsize=8)
        _tidy(axes)
    panels[0].invert_yaxis()
    return figure


def minima(found, places):
    """Losses on lines from the last iterate to the average; sharpness and test loss."""
    figure = Figure((17, 8), layout="constrained")
    grid = figure.subplots(len(found), 3, squeeze=False)
    for (*lines, scatter), (name, f) in zip(grid, found.items(), strict=True):
        for axes, (label, losses) in zip(lines, f.lines.items(), strict=True):
            for of, color, data in zip(
                (0, 1), (BLUE, RED), ("training", "test"), strict=True
            ):
                axes.plot(places, losses[:, of].T, color=color, lw=0.6, alpha=0.35)
                mean = losses[:, of].mean(0)
                axes.plot(places, mean, color=color, lw=2, label=f"{data}, mean")
                for t, marker in ((0, "o"), (1, "s")):
                    at = np.abs(places - t).argmin()
                    axes.plot(places[at], mean[at], marker, color=color, ms=8)
            axes.set(
                title=f"{name}: {label}",
                xlabel="place: 0 last iterate (dot), 1 average (square)",
                ylabel="cross-entropy [nats]",
                yscale="log",
            )
            _plain_log(axes.yaxis)
            axes.legend(fontsize=8)
        ends = [rows for rows in f.ends.values() if "train" in rows[0]]
        for place, rows in enumerate(ends):
            x, y = ([row[key] for row in rows] for key in ("relative", "test"))
            color = colormaps["tab20"](place)
            scatter.loglog(x, y, ".", ms=9, color=color, label=rows[0]["method"])
        scatter.set(
            title=f"{name}: ends of runs",
            xlabel="rise of training cross-entropy by relative noise [nats]",
            ylabel="test cross-entropy [nats]",
        )
        _plain_log(scatter.xaxis)
        _plain_log(scatter.yaxis)
    handles, labels = grid[0, -1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", title="method")
    for axes in grid.flat:
        _tidy(axes)
    return figure


def _points(axes, rows, key, place, color, label):
    values = np.array([row[key] for row in rows])
    axes.plot(values, [place] * len(values), ".", color=color, alpha=0.5, label=label)
    axes.plot(values.mean(), place, "|", color=color, ms=14, mew=2.5, label="mean")


def _plain_log(axis):
    """Numbers, not powers: the range is but a decade or two."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 3, 4, 6, 8)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def _tidy(axes):
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
