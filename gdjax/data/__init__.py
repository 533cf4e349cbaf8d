"""Data: named sets with fixed splits, and batches as a pure function of the step.

`load` gives numpy arrays, split and standardised once and for all; `source` cuts any
arrays into shuffled batches, so that a run that stops goes on with the batch that comes
next, whatever the machine.
"""

from gdjax.data._load import Examples, Info, Splits, load
from gdjax.data._source import Source, source

__all__ = ["Examples", "Info", "Source", "Splits", "load", "source"]
