"""From the checked config of a run to what it trains with: data, optimizer, step."""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from gdjax import models, tree
from gdjax.averaging import average_names, averaged_params
from gdjax.config import Spec, build, call, optimizer_from_spec, resolve
from gdjax.data import Examples, Info, Source, load, on_device, source
from gdjax.models import Model
from gdjax.parallel import check_batch, make_mesh, replicated
from gdjax.training._averaged import averaged_state
from gdjax.training._checkpoints import Checkpoints
from gdjax.training._config import Config
from gdjax.training._directory import WorkDirectory
from gdjax.training._pmap import make_pmap_train_step
from gdjax.training._rates import scheduled
from gdjax.training._state import TrainState
from gdjax.training._step import TrainStep, make_train_step
from gdjax.training._stopping import EarlyStopping
from gdjax.training._supervised import LossFn, supervised


def make_data(
    config: Config, data_dir: str | os.PathLike[str] | None = None
) -> tuple[dict[str, Examples], Info]:
    """The splits by name, inputs in the run's dtype, and what they are."""
    arguments = {
        "name": config.data.name,
        "data_dir": data_dir,
        "seed": config.data.split_seed,
        "sequence_length": config.data.sequence_length,
    }
    splits = call(load, arguments, path="config.data")
    parts = {
        "train": splits.train,
        "validation": splits.validation,
        "test": splits.test,
    }
    cast = lambda x: x.astype(config.dtype) if x.dtype.kind == "f" else x
    return {k: jax.tree.map(cast, part) for k, part in parts.items()}, splits.info


def make_source(config: Config, train: Examples) -> Source[Examples]:
    arguments = {
        "arrays": on_device(train),
        "batch_size": config.data.batch_size,
        "remainder": config.data.remainder,
        "seed": config.seed,
    }
    return call(source, arguments, path="config.data")


def make_loss(config: Config) -> tuple[Model, LossFn]:
    spec = config.model
    if config.dtype != "float32":
        spec = {**spec, "param_dtype": config.dtype}
    model = build(spec, [models], path="config.model")
    if not isinstance(model, Model):
        raise ValueError(
            f"`config.model` must describe a model, and `{spec['name']}` makes none."
        )
    arguments = {"model": model, "criterion": config.criterion}
    return model, call(supervised, arguments, path="config")


def make_params(
    config: Config, model: Model, loss_fn: LossFn, examples: Examples, info: Info
) -> optax.Params:
    """The shapes of the parameters, after model and loss have taken an example."""
    batch = jax.tree.map(lambda x: x[:1], examples)

    known = config.model.get("vocabulary")
    characters = info.alphabet or ""
    if isinstance(known, int) and known < len(characters):
        raise ValueError(
            f"`config.model.vocabulary` must be >= {len(characters)}, the number of "
            f"characters in {info.name}, got {known}."
        )

    def init():
        return jax.eval_shape(model.init, jax.random.key(0), batch.inputs)

    def apply():
        return jax.eval_shape(model.apply, params, model_state, batch.inputs)

    def loss():
        return jax.eval_shape(loss_fn, params, model_state, batch, None)

    params, model_state = call(init, {}, path="config.model")
    outputs, _ = call(apply, {}, path="config.model")
    classes = info.num_classes
    if config.criterion == "cross_entropy":
        if classes is None:
            raise ValueError(
                "`config.criterion` must be 'mse', as the targets of "
                f"{info.name} are no classes, got 'cross_entropy'."
            )
        if outputs.shape[-1] < classes:
            raise ValueError(
                f"`config.model` must have {classes} outputs, one for each class of "
                f"{info.name}, got {outputs.shape[-1]}."
            )
    call(loss, {}, path="config.criterion")
    return params


def make_optimizer(
    config: Config, params: optax.Params | None = None
) -> optax.GradientTransformationExtraArgs:
    """The average around the chain of clip, optimizer and plateau.

    Where `params` or their shapes are given, a step is tried with them: nothing is
    computed.
    """
    parts = {
        "clip": config.clip,
        "optimizer": scheduled(config),
        "plateau": config.plateau,
    }
    links = [
        optimizer_from_spec(spec, params, path=f"config.{name}")
        for name, spec in parts.items()
        if spec is not None or name == "optimizer"
    ]
    tx = links[0] if len(links) == 1 else optax.chain(*links)
    if config.average is not None:
        tx = _averaged(config.average, tx, params)
    tx = optax.with_extra_args_support(tx)
    if params is not None:
        call(lambda: _try_step(tx, params), {}, path="config.optimizer")
    return tx


_OPTIMIZER = ("inner", "fast_optimizer", "base_optimizer")  # what wrappers call it


def _averaged(
    spec: Mapping[str, Spec],
    inner: optax.GradientTransformation,
    params: optax.Params | None,
) -> optax.GradientTransformation:
    path = "config.average"
    factory = resolve(spec["name"], path=f"{path}.name")
    first = next(iter(inspect.signature(factory).parameters), None)
    if first not in _OPTIMIZER:
        raise ValueError(
            f"`{path}.name` must be a wrapper of optimizers such as 'swa', got "
            f"{spec['name']!r}."
        )
    if first in spec:
        raise ValueError(f"`{path}.{first}` must be left out: it is the optimizer.")
    tx = optimizer_from_spec({**spec, first: inner}, params, path=path)
    if params is not None:

        def average(params: optax.Params) -> optax.Params:
            state = tx.init(params)
            outermost = next(iter(average_names(state)), None)
            return averaged_params(state, params, name=outermost)

        call(lambda: jax.eval_shape(average, params), {}, path=path)
    return tx


def _try_step(tx: optax.GradientTransformationExtraArgs, params: optax.Params) -> None:
    """Raises what `update`, called as in a train step, would; computes nothing."""

    def update(state: optax.OptState, params: optax.Params) -> optax.OptState:
        extra = {
            "value": jnp.zeros([]),
            "grad": params,
            "value_fn": tree.global_norm,
            "grad_fn": lambda params: params,
        }
        return tx.update(params, state, params, **extra)[1]

    def kinds(state: optax.OptState) -> object:
        leaves, treedef = jax.tree.flatten(state)
        return treedef, [(leaf.shape, leaf.dtype) for leaf in leaves]

    state = jax.eval_shape(tx.init, params)
    if kinds(jax.eval_shape(update, state, params)) != kinds(state):
        raise ValueError("a step would change a shape or dtype of its state.")


def make_average(
    config: Config, model: Model, shapes: TrainState, examples: Examples
) -> Callable[[TrainState], TrainState] | None:
    """What puts the average in place of the last iterate; `None` if there is none.

    Of several the outermost. Batch norms get statistics of their own for it.
    """
    found = average_names(shapes.opt_state)
    if not found:
        return None
    size, most = config.data.eval_batch_size, config.recalibrate_examples
    inputs = examples.inputs[:most]
    parts = [inputs[start : start + size] for start in range(0, len(inputs), size)]
    return functools.partial(averaged_state, model, batches=parts, name=found[0])


def start_from(
    config: Config, state: TrainState, tx: optax.GradientTransformation
) -> TrainState:
    """`state` with the parameters of the run that the config names, if it does.

    The optimizer starts anew: its state belongs to other parameters.
    """
    if config.start is None:
        return state
    workdir = Path(config.start.workdir).expanduser()
    directory = workdir / "weights" / config.start.iterate
    like = {"params": state.params, "model_state": state.model_state}
    try:
        found = Checkpoints(directory).restore(like)
    except ValueError as error:
        raise ValueError(f"`config.start.workdir`: {error}") from error
    if found is None:
        raise ValueError(
            "`config.start.workdir` must be a complete run that has kept what it "
            f"learned, and there is no {directory}."
        )
    state = state._replace(**found[1])
    return state._replace(opt_state=jax.jit(tx.init)(state.params))


def make_early_stopping(config: Config) -> EarlyStopping | None:
    if config.early_stopping is None:
        return None
    return call(EarlyStopping, config.early_stopping, path="config.early_stopping")


def make_checkpoints(config: Config, directory: WorkDirectory) -> Checkpoints:
    settings = config.checkpoint
    return Checkpoints(
        directory.checkpoints,
        every_seconds=settings.every_seconds,
        every_steps=settings.every_steps,
        keep=settings.keep,
    )


def make_step(
    config: Config,
    loss_fn: LossFn,
    tx: optax.GradientTransformation,
    batch: Examples,
) -> tuple[TrainStep, Mesh]:
    """The step, for batches like `batch`, and the devices that it runs on."""
    try:
        mesh = make_mesh({"data": max(1, config.parallel.devices)})
    except ValueError as error:
        text = str(error).replace("`axes`", "`config.parallel.devices`")
        raise ValueError(text) from error
    try:
        check_batch(batch, mesh.size)
    except ValueError as error:
        raise ValueError(f"`config.data.batch_size`: {error}") from error
    size, parts = len(jax.tree.leaves(batch)[0]), mesh.size * config.microbatches
    if size % parts:
        raise ValueError(
            f"`config.microbatches`: a batch of {size} cannot be split into "
            f"{config.microbatches} equal parts for {mesh.size} devices."
        )
    if config.parallel.strategy == "pmap":
        make_step = functools.partial(
            make_pmap_train_step, devices=list(mesh.devices.flat)
        )
    else:
        plan = replicated(mesh) if config.parallel.devices else None
        make_step = functools.partial(make_train_step, sharding=plan)
    step = make_step(
        loss_fn,
        tx,
        microbatches=config.microbatches,
        steps_per_call=config.steps_per_call,
    )
    return step, mesh
