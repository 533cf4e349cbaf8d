"""Diagnostics: what a run or a loss looks like. `plots` draws results into a file."""

from gdjax.diagnostics import plots

__all__ = ["plots"]
