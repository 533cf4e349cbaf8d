"""Where a run comes from: all that is needed to repeat it, beside its config."""

import importlib.metadata
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime

import jax

from gdjax.config import Spec
from gdjax.data import Info

_PACKAGES = ("jax", "jaxlib", "optax", "flax", "numpy", "orbax-checkpoint")


def provenance(info: Info) -> dict[str, Spec]:
    """Command, code, data and machine of this process, as JSON data."""
    devices = jax.devices()
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.orig_argv),
        "commit": _commit(),
        "versions": {
            "python": platform.python_version(),
            # It need not be installed: a checkout on the path is enough.
            "gdjax": sys.modules["gdjax"].__version__,
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
        "data": {"name": info.name, "digest": info.digest},
        "device": {
            "kind": devices[0].device_kind,
            "platform": devices[0].platform,
            "count": len(devices),
        },
    }


def _commit() -> str | None:
    """The commit of the working directory, with "+" where files differ from it."""
    git = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    try:
        found = subprocess.run(git, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None  # no git, or a working tree too slow to look through
    return found.stdout.strip() or None
