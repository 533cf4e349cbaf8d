"""A whole run of one config: set up, trained, evaluated, drawn and kept."""

import contextlib
import os
import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import jax

from gdjax._checks import one_of
from gdjax._extras import need
from gdjax.diagnostics import plots
from gdjax.training import _report as report
from gdjax.training import _setup as setup
from gdjax.training._checkpoints import Checkpoints
from gdjax.training._config import Config, plain, read, resolved
from gdjax.training._directory import Results, WorkDirectory
from gdjax.training._evaluate import Evaluation, make_evaluate
from gdjax.training._files import replacing
from gdjax.training._history import as_columns
from gdjax.training._loop import Result, fit
from gdjax.training._provenance import provenance
from gdjax.training._rows import Rows, read_rows
from gdjax.training._state import TrainState, init_state
from gdjax.training._supervised import Metrics
from gdjax.training._watch import Watch

if TYPE_CHECKING:
    from ml_collections import ConfigDict


def run(
    config: "Mapping | ConfigDict",
    workdir: str | os.PathLike[str] | None = None,
    *,
    data_dir: str | os.PathLike[str] | None = None,
) -> Result:
    """Trains what a config describes, prints how it went and keeps it in a directory.

    The directory gets `config.json` (the config and where the run comes from),
    `metrics.csv`, `metrics.jsonl` and TensorBoard's `events/` (rows as they come),
    `checkpoints/`, `results.json` (loss and accuracy on the train, validation and test
    split, of the last iterate and of the average), `weights/` (parameters and batch
    statistics of both, for `config.start` of another run) and `curves.png`.

    Called again with the same config, a run that was stopped or killed goes on from its
    newest checkpoint and ends as if it never had been; of a finished run the results
    are printed again and nothing is trained. `num_steps`, `time_limit`, `log_every`,
    `checkpoint` and `parallel` may differ then, so that a larger `num_steps` continues
    a finished run. (The evaluation at its former last step stays: early stopping and
    plateaus have counted it.)

    Args:
      config: a dict or an `ml_collections.ConfigDict`, see `configs/digits_mlp.py`, or
        what a run's `config.json` holds.
      workdir: the directory; by default nothing is kept.
      data_dir: where `gdjax.data.load` finds files.

    Returns:
      What `fit` returns. Of a finished run whose checkpoints were deleted `state` is
      `None`, and `stopped` "complete".

    Raises:
      ValueError: the config has a mistake, named by its dotted key; or `workdir` holds
        a run of another config, or one that is still at work.
      ImportError: an optional dependency is missing.
      OSError: a file or directory cannot be read or written: path and reason.

    Example:
      >>> result = run({
      ...     "num_steps": 10,
      ...     "data": {"name": "digits", "batch_size": 32},
      ...     "model": {"name": "mlp", "features": [10]},
      ...     "optimizer": {"name": "sgd", "learning_rate": 0.1},
      ... })
      devices  1 x cpu
      data     digits: 1,259 train, 269 validation, 269 test examples; SHA-256 ...
      model    mlp: 650 parameters
      ...
    """
    settings = read(plain(config))
    if "provenance" in config:  # of a config.json
        config = {key: config[key] for key in config.keys() if key != "provenance"}
    directory, results = None, None
    if workdir is not None:
        directory = WorkDirectory(workdir, config, resolve=resolved)
        results = directory.results()  # refused before the data are loaded
        need("matplotlib", "run")  # missed now rather than after the training
    if settings.parallel.devices > 1:
        # Refused once JAX runs; `make_mesh` says so if there are too few then.
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", settings.parallel.devices)
    with jax.enable_x64(settings.dtype == "float64"):
        return _run(settings, directory, results, data_dir)


def _run(
    config: Config,
    directory: WorkDirectory | None,
    finished: Results | None,
    data_dir: str | os.PathLike[str] | None,
) -> Result:
    stop = setup.make_early_stopping(config)
    model, loss_fn = setup.make_loss(config)
    splits, info = setup.make_data(config, data_dir)
    params = setup.make_params(config, model, loss_fn, splits["train"], info)
    tx = setup.make_optimizer(config, params)
    batches = setup.make_source(config, splits["train"])
    step, mesh = setup.make_step(config, loss_fn, tx, batches.batch(0))

    def init(key: jax.Array) -> TrainState:
        return init_state(model, tx, key, splits["train"].inputs[:1])

    key = jax.random.key(config.seed)
    shapes = jax.eval_shape(init, key)
    average = setup.make_average(config, model, shapes, splits["train"])
    evaluate = make_evaluate(
        loss_fn, averaged=average or False, batch_size=config.data.eval_batch_size
    )

    def validate(state: TrainState) -> Metrics:
        return _flat(evaluate(state, splits["validation"]))

    validation = jax.eval_shape(evaluate, shapes, splits["validation"])
    names = list(_flat(validation))  # in the order in which they will come
    if config.metric is not None:
        one_of("config.metric", config.metric, names)
    if directory is not None and finished is not None:
        report.print_results(finished)
        report.print_files(directory)
        anew = shlex.quote(str(directory.path))
        print(f"complete; to train anew: rm -r {anew}", flush=True)
        return _finished(Watch(shapes, stop, config.metric), shapes, directory)
    with contextlib.ExitStack() as stack:
        checkpoints, log = None, None
        if directory is not None:
            changes = stack.enter_context(directory.at_work(provenance(info)))
            report.print_changes(changes)
            log = stack.enter_context(Rows(directory.path, names))
            checkpoints = setup.make_checkpoints(config, directory)
        there = checkpoints is not None and checkpoints.steps()
        report.print_setup(mesh, info, config.model, shapes.params)
        result = fit(
            step,
            shapes if there else setup.start_from(config, init(key), tx),
            batches,
            num_steps=config.num_steps,
            evaluate=validate,
            log_every=config.log_every,
            eval_every=config.eval_every,
            stop=stop,
            metric=config.metric,
            checkpoints=checkpoints,
            time_limit=config.time_limit,
            log=log,
        )
        if directory is not None:
            _draw(config, directory, result)
        if result.complete:
            results = {
                name: _ordered(evaluate(result.state, examples))
                for name, examples in splits.items()
            }
            report.print_results(results)
            if directory is not None:
                _keep(directory, result.state, average)
                directory.finish(results)
        report.print_end(result, config.num_steps, directory)
    return result


def _finished(watch: Watch, state: TrainState, directory: WorkDirectory) -> Result:
    """The result of a run that is complete, its state if that is still there."""
    history = as_columns(read_rows(directory.path))
    found = Checkpoints(directory.checkpoints).restore(watch.like(state))
    if found is None or [found[0]] != history["step"][-1:]:
        return Result(None, history, "complete")  # pyright: ignore
    _, saved = found
    stopped = watch.reason(saved) or "num_steps"
    return Result(watch.result(saved), history, stopped)


def _flat(evaluation: Evaluation) -> Metrics:
    return {
        f"{prefix}validation_{name}": value
        for iterate, prefix in (("last", ""), ("average", "average_"))
        for name, value in evaluation.get(iterate, {}).items()
    }


def _ordered(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """As it is to be read: the last iterate first, its loss first."""
    return {
        iterate: {
            name: float(metrics[name])
            for name in sorted(metrics, key=lambda name: (name != "loss", name))
        }
        for iterate in ("last", "average")
        if (metrics := evaluation.get(iterate))
    }


def _keep(
    directory: WorkDirectory,
    state: TrainState,
    average: Callable[[TrainState], TrainState] | None,
) -> None:
    """Parameters and batch statistics, of the last iterate and of the average."""
    states = {"last": state} | ({"average": average(state)} if average else {})
    for iterate, of in states.items():
        kept = Checkpoints(directory.weights / iterate, keep=1)
        weights = {"params": of.params, "model_state": of.model_state}
        kept.save(int(state.step), weights)
        kept.wait()


def _draw(config: Config, directory: WorkDirectory, result: Result) -> None:
    average_start = (config.average or {}).get("start_step")
    nats = config.criterion == "cross_entropy"
    with replacing(directory.curves) as path:
        plots.plot_curves(
            result.history,
            path,
            average_start=average_start if isinstance(average_start, int) else None,
            loss_label="cross-entropy [nats]" if nats else "loss",
            title=f"{config.data.name}, split {config.data.split_seed}: "
            f"{config.model['name']}, seed {config.seed}",
        )
