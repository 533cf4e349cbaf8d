"""The work directory of a run: what it holds, whose it is, and who is at work in it."""

import contextlib
import copy
import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import jax

from gdjax.config import Spec
from gdjax.training._config import plain
from gdjax.training._files import naming, replacing

Json: TypeAlias = dict[str, Any]
# results[split]["last" or "average"] = {"loss": ..., "accuracy": ...}
Results: TypeAlias = dict[str, dict[str, dict[str, float]]]

# What may differ where a run goes on: how long, on what, and how much of it is kept.
_FREE = ("num_steps", "log_every", "time_limit", "checkpoint", "parallel")


class WorkDirectory:
    """`config.json`, `metrics.csv`, `results.json`, `checkpoints/` and the like.

    It belongs to one config. `results.json` is written last: where it is, the run is
    finished. All files but the rows of metrics appear whole or not at all.

    Args:
      path: it need not exist yet.
      config: of the run; a `ConfigDict` with its references.
    """

    def __init__(self, path: str | os.PathLike[str], config: Any):
        self.path = Path(path)
        self.curves = self.path / "curves.png"
        self.checkpoints = self.path / "checkpoints"
        self._config = config

    def results(self) -> Results | None:
        """The results of a run that is finished, `None` if there is more to do.

        Raises:
          ValueError: the directory holds a run of another config, or a broken file.
          OSError: it is no directory, or may not be read.
        """
        if self.path.exists():
            os.listdir(self.path)  # says why not, if it cannot be read
        there = self._read("config.json")
        if there is None:
            return None
        there.pop("provenance", None)
        self._compare(there)
        return self._read("results.json") if there == plain(self._config) else None

    @contextmanager
    def at_work(self, provenance: Json) -> Iterator[list[str]]:
        """Makes the directory, keeps all others out of it, and writes `config.json`.

        Yields:
          What is not as it was when the run was started, a line for each thing.

        Raises:
          ValueError: another process is at work here, or the data are others.
          OSError: the directory cannot be made or written to.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with _locked(self.path / ".lock"):
            self.results()  # another process may just have been here
            here = plain(self._config)
            there = self._read("config.json") or {}
            record = there.pop("provenance", None) or {**provenance, "changes": []}
            if record["data"] != provenance["data"]:
                raise ValueError(
                    f"`workdir` {self.path} holds a run on other data: {record['data']}"
                    f" there, {provenance['data']} here; choose another `workdir`."
                )
            changes = [
                f"{key}: {_words(old)} -> {_words(new)}"
                for old, new, path in (
                    (there or here, here, "config"),
                    (record["versions"], provenance["versions"], "versions"),
                    (record["device"], provenance["device"], "device"),
                )
                for key, old, new in _differences(old, new, path)
            ]
            if changes:
                newest = ("versions", "device")
                record = {**record, **{name: provenance[name] for name in newest}}
                when = {name: provenance[name] for name in ("started", "command")}
                record["changes"] = [*record["changes"], {**when, "changed": changes}]
            (self.path / "results.json").unlink(missing_ok=True)  # of fewer steps
            self._write("config.json", {**here, "provenance": record})
            yield changes

    def finish(self, results: Results) -> None:
        self._write("results.json", results)

    def _compare(self, there: Json) -> None:
        """Refuses another config, unless it differs in nothing but what is free.

        What the config derives from a free number may differ with it: what counts is
        what it would be with that number as it is there.
        """
        as_there: Any = copy.deepcopy(self._config)
        unlocked = getattr(as_there, "unlocked", contextlib.nullcontext)
        with unlocked():
            for key in ("num_steps", "log_every"):
                if key in there and key in as_there:
                    as_there[key] = there[key]
        old, new = (
            {key: value for key, value in config.items() if key not in _FREE}
            for config in (there, plain(as_there))
        )
        for key, was, now in _differences(old, new, "config"):
            raise ValueError(
                f"`workdir` {self.path} holds a run of another config: `{key}` is "
                f"{_words(was)} there and {_words(now)} here; choose another "
                "`workdir`, or delete this one."
            )

    def _read(self, name: str) -> Json | None:
        path = self.path / name
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path} is no JSON file: {error}.") from error

    def _write(self, name: str, data: object) -> None:
        with replacing(self.path / name) as temporary:
            temporary.write_text(json.dumps(data, indent=2) + "\n")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a lock that dies with this process; in a group, process 0 holds it."""
    if jax.process_index() != 0:
        yield
        return
    with open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ValueError(
                f"`workdir` {path.parent} is in use by {file.read() or 'a process'}: "
                "wait until it ends, or choose another `workdir`."
            ) from None
        file.truncate(0)
        print(f"process {os.getpid()} on {socket.gethostname()}", end="", file=file)
        with naming(path):
            file.flush()
        yield


_MISSING = object()


def _differences(old: Spec, new: Spec, path: str) -> Iterator[tuple[str, Spec, Spec]]:
    """The dotted keys at which two values part, and what each has there."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            was, now = old.get(key, _MISSING), new.get(key, _MISSING)
            yield from _differences(was, now, f"{path}.{key}")
    elif old != new:
        yield path, old, new


def _words(value: Spec) -> str:
    return "missing" if value is _MISSING else json.dumps(value)
