"""The compilation cache: entries are shared, whole, and found by the next process."""

import os
import subprocess
import sys

PROGRAM = """
import os, sys, time
from pathlib import Path
from gdjax.training import enable_compilation_cache
kept = enable_compilation_cache()
(own,) = kept.glob("run-*")
print(sorted(entry.name for entry in own.iterdir()))
import jax
jax.jit(lambda x: x * 2.5)(1.0)
"""


def start(home):
    environment = {**os.environ, "XDG_CACHE_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )


def test_what_one_process_compiles_the_next_finds(tmp_path):
    kept = tmp_path / "gdjax" / "xla"
    (kept / "run-killed").mkdir(parents=True)
    (kept / "run-killed" / "half-cache").touch()
    os.utime(kept / "run-killed", (0, 0))  # of a process killed long ago
    assert start(tmp_path).stdout == "[]\n"
    entries = sorted(path.name for path in kept.iterdir())
    assert len(entries) == 1 and entries[0].startswith("jit__lambda")
    size = (kept / entries[0]).stat().st_size
    assert size > 500

    second = start(tmp_path)
    assert second.stdout == f"{entries}\n" and second.stderr == ""
    assert sorted(path.name for path in kept.iterdir()) == entries
    assert (kept / entries[0]).stat().st_size == size
