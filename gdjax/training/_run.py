"""A whole run of one config: set up, trained, evaluated, drawn and kept."""

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import TypeAlias

import jax

from gdjax._extras import need
from gdjax.averaging import averaged_params
from gdjax.data import Examples
from gdjax.diagnostics import plots
from gdjax.training import _report as report
from gdjax.training import _setup as setup
from gdjax.training._config import Config, plain, read
from gdjax.training._directory import WorkDirectory, replacing
from gdjax.training._loop import Result, fit
from gdjax.training._state import TrainState, init_state
from gdjax.training._step import make_eval_step
from gdjax.training._supervised import LossFn, Metrics

# {"last": metrics}, and {"average": metrics} where there is an average.
Evaluate: TypeAlias = Callable[[TrainState, Examples], dict[str, Metrics]]

_AT_ONCE = 2048  # examples in one program of an evaluation


def run(
    config: Mapping, workdir: str | os.PathLike[str] | None = None
) -> Result | None:
    """Trains what a config describes, prints how it went and keeps it in a directory.

    The directory gets `config.json`, `metrics.csv` and `metrics.jsonl` (rows as they
    come), `results.json` (loss and accuracy on the train, validation and test split, of
    the last iterate and of the average) and `curves.png`. Where it holds a finished run
    of the same config, that run's results are printed again and nothing is trained.

    Args:
      config: a dict or an `ml_collections.ConfigDict`, see `configs/digits_mlp.py`.
      workdir: the directory; by default nothing is kept.

    Returns:
      What `fit` returned; `None` where the run was finished before.

    Raises:
      ValueError: the config has a mistake, named by its dotted key, or `workdir` holds
        a run of another config.
      ImportError: an optional dependency is missing.

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
    data = plain(config)
    settings = read(data)
    directory = None if workdir is None else WorkDirectory(workdir, data)
    if directory is not None:
        results = directory.results()
        if results is not None:
            report.print_results(results)
            report.print_files(directory)
            print(f"finished before; to train anew: rm -r {directory.path}")
            return None
        need("matplotlib", "run")  # missed now, not after the training
    if settings.parallel.devices > 1:
        # Refused once JAX runs; `make_mesh` says so if there are too few then.
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", settings.parallel.devices)
    with jax.enable_x64(settings.dtype == "float64"):
        return _train(settings, directory)


def _train(config: Config, directory: WorkDirectory | None) -> Result:
    tx = setup.make_optimizer(config)
    model, loss_fn = setup.make_loss(config)
    splits, info = setup.make_data(config)
    batches = setup.make_source(config, splits["train"])
    step, mesh = setup.make_step(config, loss_fn, tx, batches.batch(0))
    key = jax.random.key(config.seed)
    state = init_state(model, tx, key, splits["train"].inputs[:1])
    report.print_setup(mesh, info, config.model, state.params)
    evaluate = _evaluation(loss_fn, averaged=config.average is not None)

    def validate(state: TrainState) -> Metrics:
        evaluated = evaluate(state, splits["validation"])
        return {
            f"{prefix}validation_{name}": value
            for iterate, prefix in (("last", ""), ("average", "average_"))
            for name, value in evaluated.get(iterate, {}).items()
        }

    with contextlib.ExitStack() as stack:
        callbacks = []
        if directory is not None:
            directory.start()
            names = list(jax.eval_shape(validate, state))
            append = stack.enter_context(directory.rows(names))
            callbacks.append(lambda state, row: append(row))
        result = fit(
            step,
            state,
            batches,
            num_steps=config.num_steps,
            evaluate=validate,
            log_every=config.log_every,
            eval_every=config.eval_every,
            callbacks=callbacks,
        )
    if directory is not None:
        _draw(config, directory, result)
    if result.stopped == "num_steps":
        results = {
            name: _ordered(evaluate(result.state, examples))
            for name, examples in splits.items()
        }
        report.print_results(results)
        if directory is not None:
            directory.finish(results)
    if directory is not None:
        report.print_files(directory)
    return result


def _evaluation(loss_fn: LossFn, *, averaged: bool) -> Evaluate:
    """Metrics of the last iterate and of the average, as means over all examples."""
    of_batch = make_eval_step(loss_fn)

    @jax.jit
    def both(state: TrainState, batch: Examples) -> dict[str, Metrics]:
        metrics = {"last": of_batch(state, batch)}
        if averaged:
            average = averaged_params(state.opt_state, state.params)
            metrics["average"] = of_batch(state._replace(params=average), batch)
        return metrics

    def evaluate(state: TrainState, examples: Examples) -> dict[str, Metrics]:
        total = len(examples.targets)
        if total <= _AT_ONCE:
            return both(state, examples)
        weighted = []
        for start in range(0, total, _AT_ONCE):
            part = jax.tree.map(lambda x: x[start : start + _AT_ONCE], examples)
            weight = len(part.targets) / total
            weighted.append(jax.tree.map(lambda x: weight * x, both(state, part)))
        return jax.tree.map(lambda *parts: sum(parts), *weighted)

    return evaluate


def _ordered(evaluated: dict[str, Metrics]) -> dict[str, dict[str, float]]:
    """As it is to be read: the last iterate first, its loss first."""
    return {
        iterate: {
            name: float(metrics[name])
            for name in sorted(metrics, key=lambda name: (name != "loss", name))
        }
        for iterate in ("last", "average")
        if (metrics := evaluated.get(iterate))
    }


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
