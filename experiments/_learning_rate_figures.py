"""The two figures of `learning_rate.py`."""

import jax
import numpy as np
from matplotlib.figure import Figure

COLORS = ("#4c78a8", "#2a9d6f", "#e9a23b", "#d1495b")


def circles(measured):
    """The fall of f on circles around a point, and where its lowest point lies."""
    radii, best, turns, falls, _, _ = measured
    figure = Figure((10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for radius, color in zip((0.01, 0.1, 0.3, 1.0), COLORS, strict=True):
        fall = falls[np.abs(radii - radius).argmin()]
        left.plot(turns, fall / fall.max(), color=color, label=f"{radius:g} away")
        left.plot(turns[fall.argmax()], 1, "o", color=color)
    left.set(
        title="Around a point of a ravine",
        xlabel=r"direction, degrees from $-\nabla f$",
        ylabel="fall of $f$ / largest on the circle",
        xlim=(-180, 180),
        ylim=(-3, 1.2),
        xticks=range(-180, 181, 60),
    )
    left.legend(frameon=False)
    right.semilogx(radii, best, color=COLORS[0])
    right.set(
        title="Steepest is where the step is short",
        xlabel="distance",
        ylabel=r"degrees from $-\nabla f$ to the lowest point",
    )
    for axes in (left, right):
        _tidy(axes)
    return figure


def rates(shown, valley, minima, lengths, network):
    """Paths on a ravine, and what the rate decides, there and elsewhere."""
    problem, _, shares, steps, paths = valley
    figure = Figure((16, 8), layout="constrained")
    (*planes,), (speed, poor, trained, lengths_of) = figure.subplots(2, 4)
    for axes, (name, path), color in zip(planes, paths.items(), COLORS, strict=True):
        _path(axes, problem, path, color)
        axes.set_title(rf"{name.capitalize()}: ${shown[name]} \cdot 2/\lambda$")

    speed.loglog(shares, steps, color=COLORS[0])
    speed.set(title="Ravine: steps to $10^{-6}$ of the start", ylabel="steps")
    at, values = minima
    poor.loglog(at, values, color=COLORS[0])
    poor.set(title="Rastrigin: where 400 starts end", ylabel="mean of $f$ at the end")
    at, columns, _ = network
    for name, color in (("highest", COLORS[3]), ("end", COLORS[0])):
        runs = columns[name]
        label = {"highest": "highest on the way", "end": "at the end"}[name]
        trained.loglog(at, runs.T, color=color, lw=0.7, alpha=0.4)
        trained.loglog(at, np.median(runs, 0), color=color, label=label)
    trained.set(title="Network on digits: training loss", ylabel="cross-entropy [nats]")
    for axes in (speed, poor, trained):
        axes.axvline(1, color="#333333", ls=":", label=r"$2/\lambda$")
        axes.legend(frameon=False)
        axes.set_xlabel(r"learning rate / $(2/\lambda)$")

    for (name, values), color in zip(lengths.items(), COLORS, strict=True):
        lengths_of.semilogy(values / values[0], color=color, lw=1, label=name)
    lengths_of.set(
        title="Length of the steps at half the edge",
        xlabel="step",
        ylabel="length / that of the first step",
        ylim=(1e-6, 10),
    )
    lengths_of.legend(frameon=False, loc="lower left")
    for axes in (speed, poor, trained, lengths_of):
        _tidy(axes)
    return figure


def _path(axes, problem, path, color):
    x, y = np.meshgrid(np.linspace(-3.6, 3.6, 120), np.linspace(-2.9, 2.9, 100))
    points = np.stack([x, y], -1).reshape(-1, 2)
    levels = np.asarray(jax.vmap(problem.fun)(points)).reshape(x.shape)
    axes.contourf(x, y, np.log10(levels), 12, cmap="Greys_r", alpha=0.35)
    axes.plot(*path.T, "o-", color=color, ms=3, lw=1)
    axes.plot(*path[0], "o", color="#222222", ms=6)
    axes.plot(*problem.minimizer, "*", color="#222222", ms=11)
    axes.set(xlim=(-3.6, 3.6), ylim=(-2.9, 2.9), xlabel="$w_1$", aspect="equal")
    axes.set_ylabel("$w_2$")


def _tidy(axes):
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
