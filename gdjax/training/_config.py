"""What the config of a run must hold, checked before anything is started."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from gdjax._checks import integer, one_of
from gdjax.config import Spec, call


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
        one_of("strategy", self.strategy, ("jit", "pmap"))


@dataclass(frozen=True)
class Config:
    """All that decides a run; parts that are specs are for `gdjax.config`."""

    num_steps: int
    data: DataConfig
    model: Mapping[str, Spec]  # a function of `gdjax.models`
    optimizer: Mapping[str, Spec]
    criterion: str = "cross_entropy"
    schedule: Spec = None  # replaces the optimizer's learning rate
    clip: Spec = None  # in front of the optimizer
    average: Mapping[str, Spec] | None = None  # around it
    seed: int = 0  # of parameters, dropout and the order of examples
    steps_per_call: int = 1
    log_every: int = 10
    eval_every: int | None = None  # log_every
    dtype: str = "float32"
    parallel: ParallelConfig = field(default_factory=ParallelConfig)

    def __post_init__(self) -> None:
        for name in ("num_steps", "steps_per_call", "log_every", "eval_every"):
            if (value := getattr(self, name)) is not None:
                integer(name, value, 1)
        integer("seed", self.seed, 0)
        one_of("dtype", self.dtype, ("float32", "float64"))
        for key in ("data", "parallel", "model", "optimizer", "average"):
            value = getattr(self, key)
            known = isinstance(value, (DataConfig, ParallelConfig))
            named = isinstance(value, Mapping) and "name" in value
            if not (known or named or (key == "average" and value is None)):
                raise ValueError(f"`{key}` must be a dict with a name, got {value!r}.")


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
        key: call(parts[key], value, path=f"config.{key}")
        if key in parts and isinstance(value, Mapping)
        else value
        for key, value in config.items()
    }
    return call(Config, built, path="config")
