"""Files that are whole or not there, and errors that say which file and why."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the file system, whoever reports them, get `path` and the reason.

    Raises:
      OSError: with `errno`, reason and path.
    """
    try:
        yield
    except Exception as error:
        # Python raises OSError, tensorstore ValueError("... [os_error_code='28']").
        found = re.search(r"os_error_code='(\d+)'", str(error))
        number = error.errno if isinstance(error, OSError) else None
        number = int(found[1]) if number is None and found else number
        if number is None or getattr(error, "filename", None) is not None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path; what is written there takes the place of `path` at once."""
    temporary = path.with_name(
        f".new.{path.name}"
    )  # may be there from a killed process
    temporary.unlink(missing_ok=True)
    try:
        with naming(path):
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
