"""Checkpoints: a tree of arrays on disk, written while the loop goes on."""

import hashlib
import importlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import jax
import numpy as np

from gdjax._checks import NON_NEGATIVE, integer, number
from gdjax.training._arrays import copy_of, named, placed
from gdjax.training._files import naming

T = TypeVar("T")

_REMOVED = ".removed-"  # in front of a step that is being deleted
_NEW = ".new-"  # in front of one that is being written
_DONE: Future = Future()
_DONE.set_result(None)
_MANIFEST = "manifest.json"  # of a checkpoint: the SHA-256 of every other file


class Checkpoints:
    """The newest states of a run, each in `directory/STEP`, written by Orbax.

    A checkpoint appears whole or not at all, with a manifest of the SHA-256 of each of
    its files: one with a flipped bit is not restored. It holds every leaf under its
    path as a plain array, so that `orbax.checkpoint.PyTreeCheckpointer().restore(path)`
    gives nested dicts to anyone. A save copies the state on its device and leaves
    fetching and writing to a thread.

    Args:
      directory: where they are; it is made at the first save.
      every_seconds: time between two saves of a loop, >= 0.
      every_steps: steps between two saves of a loop, >= 1, in place of the time.
      keep: how many of the newest stay, >= 1.

    Raises:
      ValueError: a number lies outside its range.
      TypeError: it is none.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     checkpoints = Checkpoints(directory)
      ...     checkpoints.save(10, {"w": jnp.arange(3.0)})
      ...     checkpoints.wait()
      ...     step, restored = checkpoints.restore({"w": jnp.zeros(3)})
      >>> print(step, restored["w"])
      10 [0. 1. 2.]
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        every_seconds: float = 30.0,
        every_steps: int | None = None,
        keep: int = 2,
    ):
        self.directory = Path(directory).absolute()
        self._seconds = float(number("every_seconds", every_seconds, NON_NEGATIVE))
        self._steps = (
            None if every_steps is None else integer("every_steps", every_steps, 1)
        )
        self._keep = integer("keep", keep, 1)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._running: Future = self._writer.submit(_orbax)  # half a second, once
        self._last_time = time.monotonic()  # of a copy
        self._last_step = 0  # of a copy, or restored
        self._newest: int | None = None  # being written, written or restored
        self.held = False  # whether a copy waits to be written

    def steps(self) -> list[int]:
        """The steps that are there, ascending."""
        return steps_in(self.directory)

    def path(self, step: int) -> Path:
        return self.directory / str(step)

    def due(self, step: int) -> bool:
        """Whether a loop that has made `step` steps has to save now."""
        if self._steps is not None:
            return step // self._steps > self._last_step // self._steps
        # A save that takes longer than the time between two of them delays the next.
        late = time.monotonic() - self._last_time >= self._seconds
        return late and not self.held and self._running.done()

    def copy(self, step: int, state: T) -> tuple[int, T]:
        """A copy of the state, on its devices, to be saved when its time has come."""
        self._last_time, self._last_step, self.held = time.monotonic(), step, True
        return step, copy_of(state)

    def save(
        self, step: int, state: T, *, good: Callable[[T], bool] | None = None
    ) -> None:
        """Saves a copy of `state`, in the background; waits for the save before it.

        Args:
          step: its name. A checkpoint that this object has written or restored is not
            written again.
          state: a tree of arrays.
          good: is asked, in the background, with the tree in numpy (random keys as
            their data); nothing is written where it says no.

        Raises:
          OSError: the save before this one failed: path and reason.
        """
        if step != self._newest:
            self.write(*self.copy(step, state), good=good)

    def write(
        self, step: int, copied: T, *, good: Callable[[T], bool] | None = None
    ) -> None:
        """Saves what `copy` returned, as `save` does."""
        self.held = False
        self.wait()
        self._newest = step
        self._running = self._writer.submit(self._write, step, copied, good)

    def wait(self) -> None:
        """Returns when everything is written.

        Raises:
          OSError: it could not be: path and reason.
        """
        running, self._running = self._running, _DONE
        try:
            running.result()
        except Exception:
            self._newest = None
            raise

    def verify(self, step: int) -> str | None:
        """What is wrong with the files of a checkpoint; `None` if nothing is."""
        path = self.path(step)
        try:
            wanted = json.loads((path / _MANIFEST).read_bytes())
            for name, digest in wanted.items():
                if _sha256(path / name) != digest:
                    return f"{name} is not what was written"
        except FileNotFoundError as error:
            return f"{Path(error.filename).name} is missing"
        except ValueError:
            return f"{_MANIFEST} is no JSON file"
        return None

    def restore(self, like: T) -> tuple[int, T] | None:
        """The newest checkpoint that is intact, `None` if there is none at all.

        Args:
          like: a tree of arrays or of `jax.ShapeDtypeStruct`. Leaves come back with its
            structure, and where it holds arrays on their devices.

        Returns:
          (step, tree).

        Raises:
          ValueError: the checkpoint holds other leaves, shapes or dtypes than `like`.
          OSError: there are checkpoints, and none is intact.
        """
        self._clean()
        self.held = False  # a run that failed may have left one
        failed = {}
        for step in reversed(self.steps()):
            path = self.path(step)
            if reason := self.verify(step):
                failed[path] = reason
                continue
            restored = placed(_read(path), like, path)
            for broken, reason in failed.items():
                aside = path.with_name(f"broken-{broken.name}")
                if aside.exists():
                    shutil.rmtree(aside)
                broken.rename(aside)
                print(f"checkpoint {broken} is broken, now {aside.name}: {reason}")
            self._last_step = self._newest = step
            return step, restored
        if failed:
            reasons = "; ".join(f"{path}: {reason}" for path, reason in failed.items())
            raise OSError(f"no checkpoint is intact: {reasons}")
        self._last_step, self._newest = 0, None
        return None

    def _write(
        self, step: int, copied: T, good: Callable[[T], bool] | None = None
    ) -> None:
        fetched = jax.device_get(copied)
        if good is not None and not good(fetched):
            return
        arrays = named(fetched)
        new = self.directory / f"{_NEW}{step}"
        with naming(self.path(step)), _quiet():
            self.directory.mkdir(parents=True, exist_ok=True)
            _orbax().save(new, arrays, force=True)
            files = sorted(path for path in new.rglob("*") if path.is_file())
            manifest = {str(path.relative_to(new)): _sha256(path) for path in files}
            (new / _MANIFEST).write_text(json.dumps(manifest, indent=1))
            if self.path(step).exists():
                self._remove(step)
            new.rename(self.path(step))
        for old in self.steps()[: -self._keep]:
            self._remove(old)

    def _remove(self, step: int) -> None:
        # Renamed first: one that is half deleted must not look like a whole one.
        removed = self.directory / f"{_REMOVED}{step}"
        if removed.exists():  # of a killed process
            shutil.rmtree(removed)
        shutil.rmtree(self.path(step).rename(removed))

    def _clean(self) -> None:
        """Removes what a killed process left behind."""
        if self.directory.is_dir():
            for path in self.directory.iterdir():
                if path.name.startswith((_REMOVED, _NEW)):
                    shutil.rmtree(path)


def steps_in(directory: Path) -> list[int]:
    """The steps of the checkpoints in a directory, ascending."""
    if not directory.is_dir():
        return []
    names = (path.name for path in directory.iterdir())
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


@contextmanager
def _quiet() -> Iterator[None]:
    """Orbax logs an exception with the traces of all its threads, and raises it too."""
    logger = logging.getLogger("absl")
    of_others = lambda record: "orbax" not in record.pathname
    logger.addFilter(of_others)
    try:
        yield
    finally:
        logger.removeFilter(of_others)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _orbax():
    ocp = importlib.import_module("orbax.checkpoint")
    return ocp.PyTreeCheckpointer()


def _read(path: Path) -> dict[str, np.ndarray]:
    from flax.traverse_util import flatten_dict

    restored = _orbax().restore(path)
    return {name: np.asarray(x) for name, x in flatten_dict(restored, sep="/").items()}
