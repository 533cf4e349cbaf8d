"""The data sets that a folder holds, and the sentence on a file that is another."""

import os
from pathlib import Path

_SHOWN = 20  # names in a message
_SUFFIXES = (".npz", ".txt")


def find(data_dir: str | os.PathLike[str]) -> dict[str, list[Path]]:
    """The .npz and .txt files of a folder, by name.

    Raises:
      ValueError: there is no such folder.
      OSError: it cannot be read.
    """
    folder = Path(data_dir)
    if not folder.is_dir():
        raise wrong(folder, "a folder as `data_dir`", what(folder))
    there: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in _SUFFIXES:
            there.setdefault(path.stem, []).append(path)
    return there


def folder_with(
    names: tuple[str, ...], data_dir: str | os.PathLike[str], inner: str
) -> list[Path]:
    """`data_dir` and its folder `inner`, those where one or more of `names` are."""
    folders = Path(data_dir), Path(data_dir) / inner
    return [f for f in folders if any((f / name).is_file() for name in names)]


def names(files: dict[str, list[Path]]) -> str:
    """The names of `files` in words, a long list cut."""
    more = len(files) - _SHOWN
    listed = ", ".join(list(files)[:_SHOWN]) or "none"
    return f"{listed} and {more} more" if more > 0 else listed


def contents(path: Path, expected: str) -> bytes:
    """The bytes of a file.

    Raises:
      ValueError: it is a folder, or not there.
      OSError: it cannot be read.
    """
    if not path.is_file():
        raise wrong(path, expected, what(path))
    return path.read_bytes()


def what(path: Path) -> str:
    if path.is_dir():
        return "a folder"
    return "a file" if path.exists() else "nothing"


def wrong(path: Path, expected: str, found: object) -> ValueError:
    """One sentence, whatever the exception or the bytes in `found` have to say."""
    said = str(found).rstrip(".") or type(found).__name__
    said = " ".join(said.split())
    return ValueError(f"{path}: expected {expected}, found {said}.")
