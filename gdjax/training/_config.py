"""What the config of a run must hold, checked before anything is started."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from gdjax._checks import integer
from gdjax.config import Spec, call

T = TypeVar("T")


@dataclass(frozen=True)
class DataConfig:
    name: str  # of a set that `gdjax.data.load` knows
    batch_size: int | str
    split_seed: int = 0
    remainder: str = "drop"


@dataclass(frozen=True)
class ParallelConfig:
    devices: int = 0  # 0: one, without a sharding plan
    strategy: str = "jit"

    def __post_init__(self) -> None:
        integer("devices", self.devices, 0)
        _one_of("strategy", self.strategy, ("jit", "pmap"))


@dataclass(frozen=True)
class Config:
    """All that decides a run; parts that are specs are for `gdjax.config`."""

    num_steps: int
    data: DataConfig
    model: Spec  # a function of `gdjax.models`
    optimizer: Spec
    criterion: str = "cross_entropy"
    schedule: Spec = None  # replaces the optimizer's learning rate
    clip: Spec = None  # in front of the optimizer
    average: Spec = None  # around it
    seed: int = 0  # of parameters, dropout and the order of examples
    steps_per_call: int = 1
    log_every: int = 10
    eval_every: int | None = None  # log_every
    dtype: str = "float32"
    parallel: ParallelConfig = field(default_factory=ParallelConfig)

    def __post_init__(self) -> None:
        integer("num_steps", self.num_steps, 1)
        integer("seed", self.seed, 0)
        _one_of("dtype", self.dtype, ("float32", "float64"))


def plain(config: Mapping) -> dict[str, Spec]:
    """The config as JSON data: references followed, tuples as lists."""
    to_dict = getattr(config, "to_dict", None)  # of an `ml_collections.ConfigDict`
    return json.loads(json.dumps(to_dict() if to_dict else dict(config)))


def read(config: Mapping[str, Spec]) -> Config:
    """The checked config.

    Raises:
      ValueError: a key is unknown or missing, or a value is refused.
    """
    parts = {"data": DataConfig, "parallel": ParallelConfig}
    built = {
        key: call(parts[key], _mapping(value, key), path=f"config.{key}")
        if key in parts
        else value
        for key, value in config.items()
    }
    return call(Config, built, path="config")


def _mapping(value: Spec, key: str) -> Mapping[str, Spec]:
    if not isinstance(value, Mapping):
        raise ValueError(f"`config.{key}` must be a dict, got {value!r}.")
    return value


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(allowed)}, got {value!r}.")
