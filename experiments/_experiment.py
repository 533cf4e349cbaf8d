"""What every experiment shares: its flags, a progress bar, results, tables, figures."""

import csv
import json
import math
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from absl import flags

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")

# Not absl's own: two scripts in one process, as in a test, have each their flags.
FLAGS = flags.FlagValues()
flags.DEFINE_integer(
    "seeds", 5, "Seeds that what is random is repeated with.", 1, flag_values=FLAGS
)
flags.DEFINE_string(
    "workdir",
    None,
    "Where results go: by default runs/NAME, or runs/NAME_quick with --quick.",
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "quick",
    False,
    "Small and short: to see that all works, not to measure.",
    flag_values=FLAGS,
)

_FILES = """
The work directory gets results.json (what was measured, and the verdicts), a
CSV file for each table, and figures.

Exit status: 0 done; 2 a mistake in the flags; 130 Ctrl-C; 1 anything else."""


class Experiment:
    """One run of an experiment: what was asked for, and where its results go.

    Attributes:
      seeds: `range(n)`.
      quick: whether to be small and short.
    """

    def __init__(self, name: str, argv: Sequence[str]):
        self._name, self._argv, self._start = name, argv, time.perf_counter()
        self.seeds, self.quick = range(FLAGS.seeds), FLAGS.quick
        default = f"runs/{name}_quick" if self.quick else f"runs/{name}"
        self._workdir = Path(FLAGS.workdir or default).expanduser()
        self._workdir.mkdir(parents=True, exist_ok=True)
        self._claims: dict[str, dict] = {}
        self._files: list[str] = []

    def progress(self, items: Sequence[T], what: str) -> Iterator[T]:
        """The items, with a bar on a terminal and a line elsewhere."""
        if sys.stdout.isatty():
            from rich.progress import track

            return iter(track(items, description=f"{what:<32}"))
        print(f"{what} ({len(items)})", flush=True)
        return iter(items)

    def table(
        self, name: str, rows: Sequence[Mapping[str, object]] | Mapping[str, Iterable]
    ) -> None:
        """Writes NAME.csv, of rows, or of columns of one length."""
        if isinstance(rows, Mapping):
            values = zip(*rows.values(), strict=True)
            rows = [dict(zip(rows, row, strict=True)) for row in values]
        with self._file(f"{name}.csv") as path, open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def figure(self, name: str, figure: "Figure") -> None:
        """Writes NAME.png."""
        with self._file(f"{name}.png") as path:
            figure.savefig(path, dpi=150)

    def verdict(
        self, claim: int, text: str, verdict: str, measured: Mapping[str, object]
    ) -> None:
        """Says how a claim of `docs/claims.md` came out, and by which numbers.

        Args:
          claim: its number there.
          text: what it says.
          verdict: begins with "holds", "holds when" or "does not hold".
          measured: numbers, and lists of them, by name.
        """
        print(f"\nClaim {claim}: {text}\n  {verdict}")
        for name, value in measured.items():
            print(f"    {name}: {_short(value)}")
        entry = {"claim": text, "verdict": verdict, "measured": _plain(measured)}
        self._claims[str(claim)] = entry

    def finish(self) -> None:
        """Writes results.json, as the last of the files."""
        import gdjax

        results = {
            "experiment": self._name,
            "command": shlex.join(["python", *self._argv]),
            "quick": self.quick,
            "seeds": len(self.seeds),
            "claims": self._claims,
            "seconds": round(time.perf_counter() - self._start, 1),
            "versions": {
                "python": platform.python_version(),
                "gdjax": gdjax.__version__,
                **{name: version(name) for name in ("jax", "optax", "numpy")},
            },
        }
        with self._file("results.json") as path:
            path.write_text(json.dumps(results, indent=2, allow_nan=False) + "\n")
        files = " ".join(self._files)
        print(f"\n{results['seconds']} s; in {self._workdir}: {files}")

    @contextmanager
    def _file(self, name: str) -> Iterator[Path]:
        """A temporary path; once it is whole it takes the place of `name`."""
        temporary = self._workdir / f".new.{name}"
        try:
            yield temporary
            os.replace(temporary, self._workdir / name)
        finally:
            temporary.unlink(missing_ok=True)
        self._files.append(name)


def main(
    measure: Callable[[Experiment], None],
    doc: str | None,
    argv: Sequence[str] | None = None,
) -> int:
    """Parses the flags, measures, keeps the results.

    Args:
      measure: is called with the experiment; gdjax is imported inside it.
      doc: of the script, the page for `--help`.
      argv: in place of `sys.argv`.

    Returns:
      The exit status.
    """
    argv = list(sys.argv if argv is None else argv)
    if {"--help", "-help", "-h"} & set(argv):
        lines = [
            f"  --{'[no]' * FLAGS[name].boolean}{name}\n      {FLAGS[name].help}"
            for name in FLAGS
        ]
        print(f"{(doc or '').strip()}\n\nFlags:\n" + "\n".join(lines))
        print(_FILES)
        return 0
    try:
        _, *rest = FLAGS(argv)
        if rest:
            raise ValueError(f"{rest[0]!r} is no flag")
        experiment = Experiment(Path(argv[0]).stem, argv)
    except (flags.Error, ValueError, OSError) as error:
        print("error:", error, file=sys.stderr)
        return 2
    try:
        measure(experiment)
        experiment.finish()
    except KeyboardInterrupt:
        print("stopped; nothing but whole tables and figures is kept", file=sys.stderr)
        return 130
    return 0


def _short(value: object) -> str:
    if isinstance(value, (list, tuple, np.ndarray)):
        return ", ".join(map(_short, value))
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def _plain(value: object) -> object:
    """As JSON data; what is not finite as text, which JSON has no number for."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
