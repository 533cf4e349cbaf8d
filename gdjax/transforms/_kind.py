"""For now: see `gdjax._wrapping`."""

from gdjax._wrapping import ordered, require_direction, require_step, sign_of  # noqa: F401
