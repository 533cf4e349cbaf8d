"""What the config of a run must hold, checked before anything is started."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from gdjax._checks import NON_NEGATIVE, POSITIVE, integer, number
from gdjax.config import Spec, call

_DEEPEST = 50


@dataclass(frozen=True)
class DataConfig:
    name: str  # of a set that `gdjax.data.load` knows
    batch_size: int | Literal["full"]
    split_seed: int = 0
    remainder: Literal["drop", "keep"] = "drop"
    sequence_length: int | None = None  # of text
    eval_batch_size: int = 2048  # examples evaluated at once

    def __post_init__(self) -> None:
        integer("split_seed", self.split_seed, 0)
        integer("eval_batch_size", self.eval_batch_size, 1)


@dataclass(frozen=True)
class ParallelConfig:
    devices: int = 0  # 0: one, without a sharding plan
    strategy: Literal["jit", "pmap"] = "jit"

    def __post_init__(self) -> None:
        integer("devices", self.devices, 0)


@dataclass(frozen=True)
class CheckpointConfig:
    every_seconds: float = 30.0
    every_steps: int | None = None  # instead of every_seconds
    keep: int = 2

    def __post_init__(self) -> None:
        number("every_seconds", self.every_seconds, NON_NEGATIVE)
        if self.every_steps is not None:
            integer("every_steps", self.every_steps, 1)
        integer("keep", self.keep, 1)


@dataclass(frozen=True)
class StartConfig:
    workdir: str  # of a run that is complete
    iterate: Literal["last", "average"] = "average"


@dataclass(frozen=True)
class Config:
    """All that decides a run; parts that are specs are for `gdjax.config`."""

    num_steps: int
    data: DataConfig
    model: Mapping[str, Spec]  # a function of `gdjax.models`
    optimizer: Spec  # a dict with a name, a list, groups, or a transformation
    criterion: str = "cross_entropy"
    schedule: Spec = None  # replaces the learning rate of a named optimizer
    clip: Spec = None  # in front of the optimizer
    plateau: Spec = None  # behind it: `reduce_on_plateau`
    average: Mapping[str, Spec] | None = None  # around all of them
    recalibrate_examples: int = 4096  # of training, for the average's batch statistics
    start: StartConfig | None = None  # parameters of another run
    seed: int = 0  # of parameters, dropout and the order of examples
    microbatches: int = 1  # parts of a batch, one after the other
    steps_per_call: int = 1
    log_every: int = 10
    eval_every: int | None = None  # log_every
    metric: str | None = None  # that early stopping and plateau watch; validation_loss
    early_stopping: Mapping[str, Spec] | None = None  # arguments of `EarlyStopping`
    time_limit: float | None = None  # seconds
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    dtype: Literal["float32", "float64"] = "float32"
    parallel: ParallelConfig = field(default_factory=ParallelConfig)

    def __post_init__(self) -> None:
        counts = (
            "num_steps",
            "microbatches",
            "steps_per_call",
            "log_every",
            "eval_every",
            "recalibrate_examples",
        )
        for name in counts:
            if (value := getattr(self, name)) is not None:
                integer(name, value, 1)
        if self.time_limit is not None:
            number("time_limit", self.time_limit, POSITIVE)
        integer("seed", self.seed, 0)
        for name in ("model", "average"):
            if (value := getattr(self, name)) is not None and "name" not in value:
                raise ValueError(f"`{name}.name` is missing.")


def plain(config: object) -> dict[str, Spec]:
    """The config as JSON data: references followed, tuples as lists.

    Without the provenance that a run adds to its `config.json`.

    Raises:
      ValueError: something in it is no JSON data.
    """
    data = _plain(config, "config")
    if not isinstance(data, dict):
        raise ValueError(f"`config` must be a dict, got {data!r}.")
    data.pop("provenance", None)
    return data


def read(config: Mapping[str, Spec]) -> Config:
    """The checked config.

    Raises:
      ValueError: a key is unknown or missing, or a value is refused.
    """
    return call(Config, config, path="config")


def resolved(config: object) -> dict[str, Spec]:
    """The config as JSON data, every default of a run filled in.

    Raises:
      ValueError: as `plain` and `read`.
    """
    return plain(asdict(read(plain(config))))


def _plain(value: Any, path: str) -> Spec:
    if path.count(".") > _DEEPEST:
        raise ValueError(f"`{path[:60]}...` is nested too deeply.")
    # numpy's scalars and arrays; an `ml_collections.ConfigDict` is no `Mapping`.
    value = value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value
    if callable(getattr(value, "keys", None)):
        entries = {}
        for key in value.keys():
            if not isinstance(key, str):
                raise ValueError(f"`{path}` must have strings as keys, got {key!r}.")
            try:
                entry = value[key]
            except Exception as error:  # a placeholder's, for which there is no class
                raise ValueError(f"`{path}.{key}` is missing: {error}.") from error
            entries[key] = _plain(entry, f"{path}.{key}")
        return entries
    if type(value) in (list, tuple):  # not a transformation, which is a named tuple
        return [_plain(entry, f"{path}.{i}") for i, entry in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(f"`{path}` must be JSON data, got a {type(value).__name__}.")
