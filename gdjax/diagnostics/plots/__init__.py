"""Pictures of results, each drawn into a PNG or SVG file, with no global state."""

from gdjax.diagnostics.plots._curves import plot_curves
from gdjax.diagnostics.plots._schedule import plot_schedule

__all__ = ["plot_curves", "plot_schedule"]
