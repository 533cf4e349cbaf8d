"""Schedules: pure functions `step -> value`, each a few lines over one exact ramp.

A step is an int or an integer array, the value f32 (f64 under x64). A schedule holds
its end value past its end and may be given wherever a learning rate or a weight decay
is asked for.
"""

from gdjax.schedules._warmup_cosine import (
    constant_schedule,
    warmup_cosine_decay_schedule,
)

__all__ = ["constant_schedule", "warmup_cosine_decay_schedule"]
