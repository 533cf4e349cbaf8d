"""Ready-made optimizers: chains of links with no arithmetic of their own."""

from gdjax.optimizers._adam import adam, adamw
from gdjax.optimizers._sgd import sgd

__all__ = ["adam", "adamw", "sgd"]
