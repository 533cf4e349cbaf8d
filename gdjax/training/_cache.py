"""Compiled programs kept between processes, so that a second run starts at once."""

import atexit
import os
import shutil
import tempfile
import time
from pathlib import Path

import jax

_ENTRIES = "*-cache"  # as JAX names them
_WEEK = 7 * 24 * 3600  # seconds


def enable_compilation_cache(directory: str | os.PathLike[str] | None = None) -> Path:
    """Lets JAX reuse programs that an earlier process compiled.

    JAX writes entries in place: one that another process is just writing looks broken,
    and one of a killed process stays so. Each process therefore works in a folder of
    its own, which starts with links to all entries, and hands over what is new, whole,
    when it ends. Call it before the first compilation.

    Args:
      directory: where the entries are kept; by default `gdjax/xla` in the user's cache
        directory (`$XDG_CACHE_HOME`, else `~/.cache`). It grows with every new program
        and may be deleted at any time.

    Returns:
      The directory.

    Raises:
      OSError: the directory cannot be written to.

    Example:
      >>> enable_compilation_cache("/scratch/me/xla")  # doctest: +SKIP
    """
    if directory is None:
        user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        directory = Path(user) / "gdjax" / "xla"
    kept = Path(directory)
    kept.mkdir(parents=True, exist_ok=True)
    for folder in kept.glob("run-*"):
        with_killed = time.time() - folder.stat().st_mtime > _WEEK
        if with_killed:
            shutil.rmtree(folder, ignore_errors=True)  # another process may be faster
    own = Path(tempfile.mkdtemp(prefix="run-", dir=kept))
    _link(kept, own)
    jax.config.update("jax_compilation_cache_dir", str(own))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # XLA's own caches would put the folder's path into the key of every entry.
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")

    def hand_over() -> None:
        _link(own, kept)
        shutil.rmtree(own, ignore_errors=True)

    atexit.register(hand_over)
    return kept


def _link(source: Path, target: Path) -> None:
    """Links the entries of `source` into `target`, where it has none of their name."""
    for entry in source.glob(_ENTRIES):
        try:
            os.link(entry, target / entry.name)
        except (FileExistsError, FileNotFoundError):
            continue  # there already, or deleted meanwhile
