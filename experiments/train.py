"""Trains what a config describes, and prints and keeps how well it went.

Every entry of the config can be changed on the command line:

    python experiments/train.py --config=configs/digits_mlp.py --config.num_steps=500

The work directory gets config.json, metrics.csv, metrics.jsonl, results.json and
curves.png. Started again with the same config, a finished run only prints its results.
Exit status: 0 done, 2 a mistake in config or flags, 1 anything else.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

from gdjax import training

FLAGS = flags.FLAGS

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file; --config.KEY=VALUE changes one of its entries."
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where results go; by default runs/NAME for configs/NAME.py."
)
_COMPILATION_CACHE = flags.DEFINE_bool(
    "compilation_cache", True, "Keep compiled programs in the user's cache directory."
)
_TRACEBACK = flags.DEFINE_bool("traceback", False, "Show where an error came from.")


def parse(argv: Sequence[str]) -> list[str]:
    """Parses flags and loads the config; a mistake in either ends it all with 2."""
    try:
        # Else absl shows whatever JAX and matplotlib find worth knowing.
        rest = FLAGS([argv[0], "--verbosity=-1", *argv[1:]])
        if rest[1:]:
            raise flags.Error(f"{rest[1]!r} is no flag")
        if _CONFIG.value is None:
            raise flags.Error("--config=FILE is missing")
        _CONFIG.value.keys()  # a file that is missing is reported when it is read
        return rest
    except SystemExit:
        sys.exit(0)  # --help, for which absl has 1
    except Exception as error:  # a config is a program: it may raise anything
        if "--traceback" in argv:
            raise
        sys.exit(fail(error, 2))


def fail(error: Exception, status: int) -> int:
    """Prints an error in one line and returns the exit status."""
    if isinstance(next(iter(error.args), None), KeyError):  # of a ConfigDict
        (error,) = error.args
    if isinstance(error, KeyError):
        words = f"the config has no entry {error.args[0]}".split()
    else:
        *_, words = map(str.split, str(error).splitlines() or [type(error).__name__])
    print("error:", *words, file=sys.stderr)
    return status


def main(argv: Sequence[str]) -> int:
    del argv
    if _COMPILATION_CACHE.value:
        try:
            training.enable_compilation_cache()
        except OSError as error:
            print(f"no compilation cache: {error}", file=sys.stderr)
    name = config_flags.get_config_filename(FLAGS["config"]).partition(":")[0]
    workdir = _WORKDIR.value or Path("runs", Path(name).stem)
    try:
        result = training.run(_CONFIG.value, workdir)
    except (ValueError, TypeError, FileNotFoundError) as error:
        if _TRACEBACK.value:
            raise
        return fail(error, 2)
    if result is not None and result.stopped != "num_steps":
        return fail(RuntimeError(result.stopped), 1)
    return 0


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
