"""Averages of the iterates: wrappers of an optimizer that leave its steps alone.

`swa` keeps the mean of the iterates in its state; `averaged_params` finds an average at
any depth of an optimizer's state.
"""

from gdjax.averaging._swa import SwaState, averaged_params, swa

__all__ = ["SwaState", "averaged_params", "swa"]
