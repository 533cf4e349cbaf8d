"""The work directory of a run: what it holds, whose it is, and who is at work in it."""

import contextlib
import copy
import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import jax

from gdjax.config import Spec
from gdjax.training._checkpoints import steps_in
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
      resolve: from a config to JSON data with all defaults, so that it makes no
        difference whether these are spelled out.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        config: Any,
        *,
        resolve: Callable[[Any], Json] = plain,
    ):
        self.path = Path(path)
        self.curves = self.path / "curves.png"
        self.checkpoints = self.path / "checkpoints"
        self.weights = self.path / "weights"
        self._config = config
        self._resolve = resolve

    def results(self) -> Results | None:
        """The results of a run that is finished, `None` if there is more to do.

        Raises:
          ValueError: the directory holds a run of another config, one that has made
            more steps or cannot make more, or a broken file.
          OSError: it is no directory, or may not be read.
        """
        if self.path.exists():
            os.listdir(self.path)  # says why not, if it cannot be read
        there, _ = self._there()
        steps, results = steps_in(self.checkpoints), self._read("results.json")
        if there is None:
            if steps:
                raise ValueError(
                    f"`workdir` {self.path} holds checkpoints and no config.json to "
                    "tell of what: choose another `workdir`, or delete this one."
                )
            return None
        self._compare(there)
        now = self._resolve(self._config).get("num_steps", 0)
        if there.get("num_steps", 0) == now:
            return results
        if steps and steps[-1] > now:
            raise ValueError(
                f"`config.num_steps` must be >= {steps[-1]}, which the run in "
                f"{self.path} has made, got {now}; or choose another `workdir`."
            )
        if results and not steps:
            raise ValueError(
                f"`workdir` {self.path} holds a finished run whose checkpoints were "
                f"deleted: it cannot go on to {now} steps; choose another `workdir`."
            )
        return None

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
            here = self._resolve(self._config)
            there, record = self._there()
            record = record or {**provenance, "changes": []}
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
            for config in (there, self._resolve(as_there))
        )
        for key, was, now in _differences(old, new, "config"):
            raise ValueError(
                f"`workdir` {self.path} holds a run of another config: `{key}` is "
                f"{_words(was)} there and {_words(now)} here; choose another "
                "`workdir`, or delete this one."
            )

    def _there(self) -> tuple[Json | None, Json | None]:
        """The config and the provenance that the directory holds, if it does."""
        config = self._read("config.json")
        if config is None:
            return None, None
        record = config.pop("provenance", None)
        known = {"data", "versions", "device", "changes"}
        is_whole = isinstance(record, dict) and known <= record.keys()
        try:
            config = self._resolve(config)
        except ValueError as error:
            raise ValueError(f"{self.path / 'config.json'}: {error}") from error
        return config, record if is_whole else None

    def _read(self, name: str) -> Json | None:
        path = self.path / name
        if not path.exists():
            return None
        try:
            data = json.loads(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path} is no JSON file: {error}.") from error
        if not isinstance(data, dict):
            raise ValueError(f"{path} must hold a JSON object, got {data!r:.40}.")
        return data

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
