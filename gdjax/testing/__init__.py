"""The laws that every transformation keeps, as one call on anybody's transformation.

`check(make)` runs them and prints which hold; a broken one comes with a sentence and
five lines of Python that fail because of it.
"""

from gdjax.testing._check import check
from gdjax.testing._probe import fields
from gdjax.testing._report import Outcome, Report

__all__ = ["Outcome", "Report", "check", "fields"]
