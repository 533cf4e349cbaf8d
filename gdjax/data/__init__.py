"""Data: named sets with fixed splits, and batches as a pure function of the step.

`load` gives numpy arrays, split and standardised once and for all; `source` cuts any
arrays into shuffled batches, so that a run that stops goes on with the batch that comes
next, whatever the machine. `on_device` keeps arrays where the batches are needed, and
`prefetch` hides the way there of those that do not fit.
"""

from gdjax.data._device import on_device
from gdjax.data._load import load
from gdjax.data._prefetch import prefetch
from gdjax.data._sets import Examples, Info, Splits
from gdjax.data._source import Source, source

__all__ = [
    "Examples",
    "Info",
    "Source",
    "Splits",
    "load",
    "on_device",
    "prefetch",
    "source",
]
