"""The rows of metrics of a run on disk, as CSV, JSON lines and TensorBoard events."""

import csv
import importlib.util
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

from gdjax.training._files import naming, replacing
from gdjax.training._history import Row

Sink: TypeAlias = Callable[[Row], None]

_FLUSH = 5.0  # seconds between two writes of TensorBoard's events


class Rows:
    r"""`metrics.csv`, `metrics.jsonl`, and `events/` where tensorboardX is installed.

    A `Log` for `fit`, and a context manager that closes the files. Rows appear as they
    come, each line at once. The CSV is what counts: when a run goes on, its rows up to
    there are kept, and the other two are made from them again. In JSON, which knows
    neither, NaN and infinity are null.

    Args:
      directory: where the files are; it must exist.
      names: columns that the first rows may still lack.

    Raises:
      OSError: a file cannot be written: path and reason.
      ValueError: from `append`, a row has a name that is no column.

    Example:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     with Rows(directory) as rows:
      ...         earlier = rows.begin(0)
      ...         rows.append({"step": 10, "loss": 0.5})
      ...     pathlib.Path(directory, "metrics.csv").read_text()
      'step,loss\n10,0.5\n'
    """

    def __init__(self, directory: str | os.PathLike[str], names: Sequence[str] = ()):
        self._directory = Path(directory)
        self._names = names
        self._columns: list[str] = []
        self._stack = ExitStack()
        self._sinks: list[tuple[Path, Sink]] = []

    def begin(self, step: int) -> list[Row]:
        """Forgets the rows after `step`; returns those up to it."""
        table, lines, events = (
            self._directory / name
            for name in ("metrics.csv", "metrics.jsonl", "events")
        )
        kept = [row for row in read_rows(self._directory) if row["step"] <= step]
        self._columns = list(kept[0]) if kept else []
        for path, opened in ((table, _table), (lines, _lines)):
            with replacing(path) as temporary, opened(temporary) as append:
                for row in kept:
                    append(row)
            self._open(path, opened)
        shutil.rmtree(events, ignore_errors=True)
        if importlib.util.find_spec("tensorboardX"):
            self._open(events, _events)
            for row in kept:
                self._sinks[-1][1](row)
        return kept

    def append(self, row: Row) -> None:
        columns = self._columns or list(dict.fromkeys(("step", *row, *self._names)))
        if more := row.keys() - columns:
            raise ValueError(
                f"the rows in {self._directory} have no column `{min(more)}`: give "
                "`names` that come later, or begin anew."
            )
        self._columns = columns
        whole = {name: row.get(name, math.nan) for name in columns}
        for path, append in self._sinks:
            with naming(path):
                append(whole)

    def _open(self, path: Path, opened: Callable) -> None:
        self._stack.enter_context(naming(path))
        self._sinks.append((path, self._stack.enter_context(opened(path))))

    def __enter__(self) -> "Rows":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def read_rows(directory: Path) -> list[Row]:
    """The rows of `metrics.csv`, without the last where its line was cut off."""
    path = directory / "metrics.csv"
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    rows = []
    for number, row in enumerate(csv.DictReader(lines), start=2):
        try:
            rows.append({name: _number(x) for name, x in row.items()})
        except (TypeError, ValueError):
            raise ValueError(
                f"{path}, line {number}, is no row of numbers: {lines[number - 1]!r}."
            ) from None
    return rows


def _number(text: str) -> float:
    """Counters stay integers, so that they look the same when written again."""
    try:
        return int(text)
    except ValueError:
        return float(text)


@contextmanager
def _table(path: Path) -> Iterator[Sink]:
    with open(path, "a", newline="", buffering=1) as file:
        writer, is_new = csv.writer(file), file.tell() == 0

        def append(row: Row) -> None:
            nonlocal is_new
            if is_new:
                writer.writerow(row)
                is_new = False
            writer.writerow(row.values())

        yield append


@contextmanager
def _lines(path: Path) -> Iterator[Sink]:
    with open(path, "a", buffering=1) as file:

        def append(row: Row) -> None:
            # JSON knows no NaN.
            valid = {k: x if math.isfinite(x) else None for k, x in row.items()}
            file.write(json.dumps(valid) + "\n")

        yield append


@contextmanager
def _events(directory: Path) -> Iterator[Sink]:
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event  # pyright: ignore
    from tensorboardX.proto.summary_pb2 import Summary  # pyright: ignore

    # Without the queue and the thread of `SummaryWriter`, and one event a row: that
    # costs a tenth.
    directory.mkdir()
    writer, flushed = EventsWriter(str(directory / "rows")), time.time()

    def append(row: Row) -> None:
        nonlocal flushed
        values = [
            Summary.Value(tag=name, simple_value=x)
            for name, x in row.items()
            if name != "step" and not math.isnan(x)
        ]
        now = time.time()
        summary = Summary(value=values)
        writer.write_event(Event(summary=summary, step=int(row["step"]), wall_time=now))
        if now - flushed > _FLUSH:
            writer.flush()
            flushed = now

    try:
        yield append
    finally:
        writer.close()
