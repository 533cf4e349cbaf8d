"""The command line of every script that trains: flags, config, help, exit status.

A script gives `main` its docstring, which opens the page that `--help` shows, and a
function that trains. gdjax is imported only when the command line has no mistake.
"""

import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import _config_file as config_file
import _manual as manual
from absl import flags

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from gdjax.training import Result


class Job(NamedTuple):
    """What the command line asks for."""

    config: "ConfigDict"  # JSON data, with the references of its file
    workdir: Path
    data_dir: Path | None


FLAGS = flags.FLAGS

flags.DEFINE_string(
    "config",
    None,
    "What to train: a Python file whose get_config() returns a ConfigDict or a dict "
    "(FILE.py:TEXT calls get_config(TEXT)), or the config.json of a run.",
)
flags.DEFINE_string(
    "workdir",
    None,
    "Where the run is kept. By default runs/NAME for NAME.py; for the config.json of a "
    "run that run's own directory, so that it goes on.",
)
flags.DEFINE_string(
    "data_dir",
    None,
    "A folder of data sets: config.data.name NAME means its file NAME.npz, with arrays "
    "inputs [n, ...] and targets [n] (classes from 0, or reals), or NAME.txt; mnist "
    "and cifar10 may also be in the files that they are published in.",
)
flags.DEFINE_bool(
    "compilation_cache",
    True,
    "Keep compiled programs in the user's cache directory: the next run starts faster.",
)
flags.DEFINE_bool("traceback", False, "Show where in the code an error came from.")

# By the first word of `Result.stopped`.
_STATUS = {
    "num_steps": 0,
    "complete": 0,
    "converged": 0,
    "plateau": 0,
    "time_limit": 75,
    "SIGINT": 130,
    "SIGTERM": 143,
}


def main(
    train: Callable[[Job], "Result"], doc: str | None, argv: Sequence[str] | None = None
) -> int:
    """Parses the command line and trains.

    Args:
      train: is called with what the command line asks for.
      doc: the beginning of the page for `--help`.
      argv: in place of `sys.argv`.

    Returns:
      The exit status.

    Raises:
      Exception: of `train`, where it is no mistake of the user.
    """
    # Without JAX's frames one could not tell what JAX refuses from what gdjax does.
    os.environ.setdefault("JAX_TRACEBACK_FILTERING", "off")
    # Until a run has its own handlers, and once it is over.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    argv = list(sys.argv if argv is None else argv)
    if {"--help", "-help", "-h"} & set(argv):
        print(manual.page(doc or "", _flags()))
        return 0
    try:
        job = _job(argv)
    except (flags.Error, ValueError, OSError) as error:
        return _fail(error, 2, show="--traceback" in argv)
    try:
        if FLAGS.compilation_cache:
            _keep_programs()
        result = train(job)
    except Exception as error:
        status = _status(error)
        if status is None:
            raise
        return _fail(error, status, show=FLAGS.traceback)
    status = _STATUS.get(result.stopped.partition(" ")[0], 1)
    if status == 1:
        print("error:", result.stopped, file=sys.stderr)
    return status


def _leave(number: int, frame: object) -> None:
    """Ends the process: an exception would break extensions that are being imported."""
    del frame
    os._exit(128 + number)


def _keep_programs() -> None:
    from gdjax import training

    try:
        training.enable_compilation_cache()
    except OSError as error:  # one can train without
        print("no compilation cache:", _sentence(error), file=sys.stderr)


def _job(argv: list[str]) -> Job:
    arguments, changes = _split(FLAGS.read_flags_from_files(argv[1:], force_gnu=False))
    try:
        _, *rest = FLAGS([argv[0], *arguments])
    except flags.UnrecognizedFlagError as error:
        hint = _hint(error.flagname)
        raise ValueError(f"there is no flag --{error.flagname}; {hint}") from error
    except flags.IllegalFlagValueError as error:
        found = re.match(r"flag --(\w+)=(.*?): ", str(error))
        if found is None or not FLAGS[found[1]].boolean:
            raise
        raise ValueError(
            f"--{found[1]} must be true or false, got {found[2]!r}"
        ) from error
    if rest:
        is_file = rest[0].endswith((".py", ".json"))
        hint = f"; did you mean --config={rest[0]}?" if is_file else ""
        raise ValueError(f"{rest[0]!r} is no flag{hint}")
    for name in ("config", "workdir", "data_dir"):
        if FLAGS[name].value == "":
            raise ValueError(f"--{name} must be a path, got ''")
    if FLAGS.config is None:
        raise ValueError("--config=FILE is missing; --help shows examples")
    config, workdir = config_file.load(FLAGS.config, changes)
    return Job(
        config,
        Path(FLAGS.workdir).expanduser() if FLAGS.workdir else workdir,
        Path(FLAGS.data_dir).expanduser() if FLAGS.data_dir else None,
    )


def _hint(name: str) -> str:
    """What is meant by a flag that is none."""
    head, dot, tail = name.partition(".")
    near = config_file.nearest(head, [flag.name for flag in _flags()])
    if near and not dot:
        return f"the nearest is --{near}"
    entry = tail if near == "config" else name
    return f"an entry of the config is changed by --config.{entry}=VALUE"


def _flags() -> list[flags.Flag]:
    """Those of this file and of the script."""
    by_module = FLAGS.flags_by_module_dict()
    own = [name for name in by_module if not name.startswith("absl.")]
    return [flag for name in own for flag in by_module[name]]


def _split(argv: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The arguments without the changes of the config, and those."""
    rest, changes = [], []
    arguments = iter(argv)
    for argument in arguments:
        found = re.fullmatch(r"--?config\.([^=]*)(=?)(.*)", argument, re.DOTALL)
        if not found:
            rest.append(argument)
            continue
        name, equals, text = found.groups()
        text = text if equals else next(arguments, "--")
        if not text or (not equals and text.startswith("--")):
            raise ValueError(
                f"--config.{name} must have a value: --config.{name}=VALUE"
            )
        changes.append((name, text))
    return rest, changes


def _status(error: Exception) -> int | None:
    """The exit status for what `train` raised; `None` for what nobody foresaw."""
    if isinstance(error, OSError):
        no_directory = (FileExistsError, NotADirectoryError, PermissionError)
        return 2 if isinstance(error, no_directory) else 1
    # A missing extra is an ImportError with words for the user; its subclass is not.
    if isinstance(error, FloatingPointError) or type(error) is ImportError:
        return 1
    # What gdjax itself refuses is a mistake of the user; what JAX raises is a bug.
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    refused = isinstance(error, (ValueError, TypeError)) and package == "gdjax"
    return 2 if refused else None


def _fail(error: Exception, status: int, *, show: bool) -> int:
    if show:
        traceback.print_exception(error)
    print("error:", _sentence(error), file=sys.stderr)
    return status


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        named = error.filename is not None
        return f"{error.filename}: {error.strerror}" if named else error.strerror
    lines = str(error).splitlines() or [type(error).__name__]
    return " ".join(line.strip() for line in lines)
