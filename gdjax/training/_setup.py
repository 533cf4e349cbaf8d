"""From the checked config of a run to what it trains with: data, optimizer, step."""

import functools
from typing import cast

import optax
from jax.sharding import Mesh

from gdjax import models
from gdjax.config import build, call, optimizer_from_spec, schedule_from_spec
from gdjax.data import Examples, Info, Source, load, source
from gdjax.models import Model
from gdjax.parallel import check_batch, make_mesh, replicated
from gdjax.training._config import Config
from gdjax.training._pmap import make_pmap_train_step
from gdjax.training._step import TrainStep, make_train_step
from gdjax.training._supervised import LossFn, supervised


def make_data(config: Config) -> tuple[dict[str, Examples], Info]:
    """The splits by name, inputs in the run's dtype, and what they are."""
    named = {"name": config.data.name, "seed": config.data.split_seed}
    splits = call(load, named, path="config.data")
    parts = {
        "train": splits.train,
        "validation": splits.validation,
        "test": splits.test,
    }
    return {
        name: Examples(part.inputs.astype(config.dtype), part.targets)
        for name, part in parts.items()
    }, splits.info


def make_source(config: Config, train: Examples) -> Source[Examples]:
    arguments = {
        "arrays": train,
        "batch_size": config.data.batch_size,
        "remainder": config.data.remainder,
        "seed": config.seed,
    }
    return call(source, arguments, path="config.data")


def make_loss(config: Config) -> tuple[Model, LossFn]:
    spec = config.model
    if config.dtype != "float32":
        spec = {**spec, "param_dtype": config.dtype}
    model = cast(Model, build(spec, [models], path="config.model"))
    arguments = {"model": model, "criterion": config.criterion}
    return model, call(supervised, arguments, path="config")


def make_optimizer(config: Config) -> optax.GradientTransformationExtraArgs:
    """The average around clip and optimizer; the schedule replaces its rate."""
    tx = optimizer_from_spec(config.optimizer, path="config.optimizer")
    if config.schedule is not None:
        schedule = schedule_from_spec(config.schedule, path="config.schedule")
        scheduled = {**config.optimizer, "learning_rate": schedule}
        tx = optimizer_from_spec(scheduled, path="config.optimizer")
    if config.clip is not None:
        tx = optax.chain(optimizer_from_spec(config.clip, path="config.clip"), tx)
    if config.average is not None:
        average = {**config.average, "inner": tx}
        tx = optimizer_from_spec(average, path="config.average")
    return optax.with_extra_args_support(tx)


def make_step(
    config: Config,
    loss_fn: LossFn,
    tx: optax.GradientTransformation,
    batch: Examples,
) -> tuple[TrainStep, Mesh]:
    """The step, for batches like `batch`, and the devices that it runs on."""
    mesh = make_mesh({"data": max(1, config.parallel.devices)})
    check_batch(batch, mesh.size)
    if config.parallel.strategy == "pmap":
        make_step = functools.partial(
            make_pmap_train_step, devices=list(mesh.devices.flat)
        )
    else:
        plan = replicated(mesh) if config.parallel.devices else None
        make_step = functools.partial(make_train_step, sharding=plan)
    return make_step(loss_fn, tx, steps_per_call=config.steps_per_call), mesh
