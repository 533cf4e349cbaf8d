"""The config of a run from a Python or JSON file, with entries changed by path.

`ml_collections.config_flags` has no hook for a JSON file with overrides, new entries
inside of missing ones, lists, or a value of another type; so files are read here, and
changes are made in plain dicts that keep the `FieldReference`s.
"""

import ast
import difflib
import inspect
import json
import runpy
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from ml_collections.config_dict import ConfigDict, FieldReference, RequiredValueError

Container: TypeAlias = dict[str, object] | list[object]


def load(source: str, changes: Sequence[tuple[str, str]]) -> tuple[ConfigDict, Path]:
    """The config of a file, changed, and the work directory that goes with it.

    It keeps its references: `run` asks what follows from another `num_steps`.

    Args:
      source: the path of a file that defines `get_config`, with `:ARGUMENT` for it
        behind it or without; or the path of a JSON object, such as a run's config.json.
      changes: of entries, in order: dotted path and new value as they were typed.

    Raises:
      ValueError: the file or a change has a mistake.
      OSError: the file cannot be read.
    """
    name, is_python, argument = source.partition(".py:")
    path = Path(name + ".py" if is_python else source).expanduser()
    if not path.is_file():
        raise ValueError(_no_file(path))
    if path.suffix not in (".py", ".json"):
        raise ValueError(f"--config must be a .py or .json file, got {path}")
    workdir = Path("runs", path.stem)
    if path.suffix == ".py":
        config = _from_python(path, [argument] if is_python else [])
    else:
        config = _from_json(path)
        # Only a run writes it there.
        if config.pop("provenance", None) is not None and path.name == "config.json":
            workdir = path.parent
    config = _dict(config)
    for i, (key, text) in enumerate(changes):
        for earlier, _ in changes[:i]:
            if earlier.startswith(f"{key}."):
                raise ValueError(
                    f"--config.{key} would undo --config.{earlier}: give it first"
                )
        _change(config, key, text)
    for key, value in config.items():
        _resolved(value, f"config.{key}")  # raises for what is no data
    data = {key: _outside_lists(value) for key, value in config.items()}
    return ConfigDict(data, type_safe=False, allow_dotted_keys=True), workdir


def _no_file(path: Path) -> str:
    if path.is_dir():
        own = path / "config.json"
        hint = f"; did you mean {own}?" if own.is_file() else ""
        return f"--config must be a .py or .json file, got the folder {path}{hint}"
    there = [*path.parent.glob("*.py"), *path.parent.glob("*.json")]
    there += Path("configs").glob("*.py")
    near = nearest(str(path), map(str, there))
    hint = f"; the nearest is {near}" if near else ""
    return f"--config: there is no file {path}{hint}"


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that `name` may stand for."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return found[0] if found else None


def _from_python(
    path: Path, arguments: Sequence[str]
) -> ConfigDict | Mapping[str, object]:
    try:
        get_config = runpy.run_path(str(path)).get("get_config")
        if not callable(get_config):
            raise ValueError("there is no function get_config")
        try:
            inspect.signature(get_config).bind(*arguments)
        except TypeError as error:
            hint = "" if arguments else f"; --config={path}:ARGUMENT gives it one"
            raise ValueError(f"get_config: {error}{hint}") from error
        config = get_config(*arguments)
        if not isinstance(config, (ConfigDict, Mapping)):
            raise ValueError(f"get_config must return a dict, got {config!r:.40}")
        return config
    except SyntaxError as error:
        raise ValueError(
            f"{error.filename}, line {error.lineno}: {error.msg}"
        ) from error
    except Exception as error:  # a config is a program: it may raise anything
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        if not lines:
            raise ValueError(f"{path}: {error}") from error
        raise ValueError(
            f"{path}, line {lines[-1]}: {type(error).__name__}: {error}"
        ) from error


def _from_json(path: Path) -> dict[str, object]:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{path}: the key {name!r} occurs twice")
        return dict(pairs)

    try:
        config = json.loads(path.read_bytes(), object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} must hold a JSON object, got {config!r:.40}")
    return config


def _dict(mapping: ConfigDict | Mapping[str, object]) -> dict[str, object]:
    """Plain dicts and lists all the way down, in which references stay references."""
    if isinstance(mapping, ConfigDict):
        items = mapping.items(preserve_field_references=True)
    else:
        items = mapping.items()
    return {key: _plain(entry) for key, entry in items}


def _plain(value: object) -> object:
    if isinstance(value, (ConfigDict, Mapping)):
        return _dict(value)
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value


def _change(config: dict[str, object], name: str, text: str) -> None:
    """Sets the entry with the dotted path `name` to what `text` says."""
    holder: Container = config
    path = "config"
    *parents, last = name.split(".")
    for key in parents:
        path += f".{key}"
        place = _place(holder, key, path)
        entry = _entry(holder, place)
        if isinstance(entry, FieldReference):
            entry = None if entry.empty() else entry.get()
        entry = {} if entry is None else _plain(entry)
        if not isinstance(entry, (dict, list)):
            raise ValueError(
                f"`config.{name}`: `{path}` has no entries, it is {entry!r}"
            )
        _put(holder, place, entry, path)
        holder = entry
    path += f".{last}"
    _put(holder, _place(holder, last, path), _value(text, path), path)


def _place(holder: Container, key: str, path: str):
    """The key, or the index of a list."""
    if not key:
        raise ValueError(f"`{path}`: there is no name behind the last dot")
    if isinstance(holder, dict):
        return key
    if not key.isdecimal() or int(key) >= len(holder):
        raise ValueError(
            f"`{path}` must be an entry of a list, 0 to {len(holder) - 1}, got {key!r}"
        )
    return int(key)


def _entry(holder: Container, place):
    return holder.get(place) if isinstance(holder, dict) else holder[place]


def _put(holder: Container, place, value: object, path: str) -> None:
    """Sets an entry; a reference stays one, so that what follows it goes along."""
    old = _entry(holder, place)
    if not isinstance(old, FieldReference):
        holder[place] = value
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    number = number and value == value  # NaN would turn up in what follows
    if old.get_type() in (int, float) and not number and value is not None:
        raise ValueError(f"`{path}` must be a number, got {value!r}")
    old.set(value, type_safe=False)


def _value(text: str, path: str):
    """JSON, or a Python literal, or else the text itself."""
    for read in (json.loads, ast.literal_eval):
        try:
            value = json.loads(json.dumps(read(text)))  # tuples as lists
        except (ValueError, SyntaxError, TypeError):
            continue
        # 1e3 is a float to Python, and 1000 to those who type it.
        whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
        return int(value) if whole and "e" in text.lower() else value
    if text.lstrip()[:1] in tuple("[{("):
        raise ValueError(f"`{path}` must be JSON or a Python literal, got {text!r}")
    return text


def _outside_lists(value: object) -> object:
    """`value` with the references followed that a ConfigDict would not follow."""
    if isinstance(value, dict):
        return {key: _outside_lists(entry) for key, entry in value.items()}
    return _resolved(value, "config") if isinstance(value, list) else value


def _resolved(value: object, path: str) -> object:
    """JSON data: references followed."""
    if isinstance(value, FieldReference):
        try:
            value = _plain(value.get())
        except RequiredValueError as error:
            raise ValueError(f"`{path}` must be given: --{path}=VALUE") from error
        except Exception as error:  # what was set does not suit what is computed
            raise ValueError(f"`{path}` cannot be computed: {error}") from error
    if isinstance(value, dict):
        return {key: _resolved(entry, f"{path}.{key}") for key, entry in value.items()}
    if isinstance(value, list):
        return [_resolved(entry, f"{path}.{i}") for i, entry in enumerate(value)]
    if value is not None and not isinstance(value, (str, int, float)):
        raise ValueError(
            f"`{path}` must be a number, text, true, false, None, a list or a dict, "
            f"got {value!r}"
        )
    return value
