"""The two figures of `weight_averaging.py`."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

BLUE, ORANGE, RED = "#4c78a8", "#e9a23b", "#d1495b"


BY_RATE = {
    "last, constant rate": (RED, "-"),
    "SWA, constant rate": (BLUE, "-"),
    "last, cosine": (RED, "--"),
    "predictions, cycles": (BLUE, "--"),
}


def methods(found):
    """Test losses of all methods, a point for each seed, and of some at all rates."""
    figure = Figure((11, 10), layout="constrained")
    top, bottom = figure.subplots(2, len(found), sharey="row", height_ratios=(3, 2))
    for axes, below, (name, f) in zip(top, bottom, found.items(), strict=True):
        for place, label in enumerate(f.best):
            whose = "each seed"
            if name == "CNN":
                stale = f.at_best(label, "uncalibrated")
                whose = "its own statistics"
                _points(axes, stale, place + 0.15, ORANGE, "those of the last iterate")
            _points(axes, f.at_best(label), place - 0.15, BLUE, whose)
        axes.set(
            title=f"{name} on digits, each at its best rate",
            xlabel="test cross-entropy [nats]",
            xscale="log",
            yticks=range(len(f.best)),
            yticklabels=f.best,
        )
        _plain_log(axes.xaxis, 1, 2, 3, 4, 6, 8)
        handles, labels = axes.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        axes.legend(unique.values(), unique, fontsize=8)

        for label, (color, style) in BY_RATE.items():
            middle = np.median(f.test(label), 1)
            below.loglog(f.rates, middle, style, color=color, label=label)
        below.set(
            title=f"{name}, median of the seeds",
            xlabel="learning rate (highest of the schedule)",
            ylabel="test cross-entropy [nats]",
            ylim=(0.07, 3),
        )
        _plain_log(below.yaxis, 1, 2, 5)
        below.legend(fontsize=8)
        _tidy(axes)
        _tidy(below)
    top[0].invert_yaxis()
    return figure


def minima(found, places, points):
    """Losses on lines from the last iterate to the average; sharpness and test loss."""
    figure = Figure((17, 8), layout="constrained")
    grid = figure.subplots(len(found), 4)
    for (*lines, absolute, relative), (name, f) in zip(
        grid, found.items(), strict=True
    ):
        for axes, (label, losses) in zip(lines, f.lines.items(), strict=True):
            for color, data, curves in (
                (BLUE, "training", losses[:, 0]),
                (RED, "test", losses[:, 1]),
            ):
                mean = curves.mean(0)
                axes.plot(places, curves.T, color=color, lw=0.6, alpha=0.35)
                axes.plot(places, mean, color=color, lw=2, label=f"{data}, mean")
                for t, marker in ((0, "o"), (1, "s")):
                    at = np.abs(places - t).argmin()
                    axes.plot(places[at], mean[at], marker, color=color, ms=8)
            axes.set(
                title=f"{name}: {label}",
                xlabel="0 last iterate (dot), 1 average (square)",
                ylabel="cross-entropy [nats]",
                yscale="log",
            )
            _plain_log(axes.yaxis, 1, 2, 3, 4, 6, 8)
            axes.legend(fontsize=8)
        ends = points[name]
        for axes, noise in ((absolute, "absolute"), (relative, "relative")):
            drawn = axes.scatter(
                ends[noise], ends["test"], 8, np.log10(ends["train"]), cmap="viridis"
            )
            axes.set(
                title=f"{name}: ends at all rates",
                xlabel=f"rise of training loss by {noise} noise [nats]",
                ylabel="test cross-entropy [nats]",
                xscale="log",
                yscale="log",
            )
            _plain_log(axes.xaxis, 1, 2, 5)
            _plain_log(axes.yaxis, 1, 2, 3, 4, 6, 8)
        figure.colorbar(drawn, ax=relative, label="$\\log_{10}$ training loss [nats]")
    for axes in grid.flat:
        _tidy(axes)
    return figure


def _plain_log(axis, *subs):
    """Numbers, not powers: the range is but a decade or two."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def _points(axes, values, place, color, label):
    axes.plot(values, [place] * len(values), ".", color=color, alpha=0.5, label=label)
    axes.plot(values.mean(), place, "|", color=color, ms=14, mew=2.5, label="mean")


def _tidy(axes):
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
