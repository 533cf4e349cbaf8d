"""The work directory of a run: what it holds, and whose it is."""

import csv
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from gdjax.config import Spec
from gdjax.training._history import Row

# results[split]["last" or "average"] = {"loss": ..., "accuracy": ...}
Results: TypeAlias = dict[str, dict[str, dict[str, float]]]


class WorkDirectory:
    """`config.json`, `metrics.csv`, `metrics.jsonl`, `results.json`, `curves.png`.

    It belongs to one config. `results.json` is written last: where it is, the run is
    finished. All files but the rows of metrics appear whole or not at all.
    """

    def __init__(self, path: str | os.PathLike[str], config: Mapping[str, Spec]):
        self.path = Path(path)
        self.curves = self.path / "curves.png"
        self._config = config

    def results(self) -> Results | None:
        """The results of a finished run, `None` if it is to be made.

        Raises:
          ValueError: the directory holds a run of another config.
        """
        file = self.path / "config.json"
        if file.exists():
            there = json.loads(file.read_text())
            if there != self._config:
                key, old, new = _first_difference(there, self._config)
                raise ValueError(
                    f"`workdir` {self.path} holds a run of another config: `{key}` is "
                    f"{old} there and {new} here; choose another `workdir`, or delete "
                    "this one."
                )
        results = self.path / "results.json"
        return json.loads(results.read_text()) if results.exists() else None

    def start(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self._write("config.json", self._config)

    def finish(self, results: Results) -> None:
        self._write("results.json", results)

    def _write(self, name: str, data: object) -> None:
        with replacing(self.path / name) as temporary:
            temporary.write_text(json.dumps(data, indent=2) + "\n")

    @contextmanager
    def rows(self, names: Sequence[str]) -> Iterator[Callable[[Row], None]]:
        """A function that appends a row to the two files of metrics, emptied before.

        Args:
          names: those that the first rows may still lack; they are columns too.
        """
        writer = None
        with (
            open(self.path / "metrics.csv", "w", newline="", buffering=1) as table,
            open(self.path / "metrics.jsonl", "w", buffering=1) as lines,
        ):

            def append(row: Row) -> None:
                nonlocal writer
                row = dict.fromkeys(("step", *row, *names), math.nan) | row
                if writer is None:
                    writer = csv.DictWriter(table, list(row))
                    writer.writeheader()
                writer.writerow(row)
                # JSON knows no NaN.
                valid = {k: x if math.isfinite(x) else None for k, x in row.items()}
                lines.write(json.dumps(valid) + "\n")

            yield append


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path; what is written there takes the place of `path` at once."""
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _first_difference(
    old: Spec, new: Spec, path: str = "config"
) -> tuple[str, Spec, Spec]:
    """The dotted key at which two unequal configs part, and what each has there."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            here, there = old.get(key, "missing"), new.get(key, "missing")
            if here != there:
                return _first_difference(here, there, f"{path}.{key}")
    return path, old, new
