"""Runs that are killed at random moments and started again, until they are complete."""

import csv
import importlib.util
import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import numpy as np

CONFIG = Path(__file__).parents[1] / "configs" / "digits_mlp.py"


def digits_mlp(workdir: Path) -> None:
    """The main job, with a checkpoint every 0.2 seconds."""
    import gdjax as gd

    spec = importlib.util.spec_from_file_location("digits_mlp", CONFIG)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    config.num_steps = 300
    gd.run({**config.to_dict(), "checkpoint": {"every_seconds": 0.2}}, workdir)


def batch_norm_and_dropout(workdir: Path) -> None:
    """A model with a state and random numbers, early stopping, one step a call."""
    import jax
    from flax import nnx

    import gdjax as gd
    from gdjax.training import Checkpoints, EarlyStopping, Rows

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(64, 32, rngs=rngs)
            self.norm = nnx.BatchNorm(32, rngs=rngs)
            self.drop = nnx.Dropout(0.3, rngs=rngs)
            self.second = nnx.Linear(32, 10, rngs=rngs)

        def __call__(self, x):
            return self.second(self.drop(nnx.relu(self.norm(self.first(x)))))

    splits = gd.data.load("digits")
    model = gd.models.from_nnx(Net)
    tx = gd.swa(gd.adam(gd.warmup_cosine_decay_schedule(0.0, 1e-2, 50, 400)), 300)
    loss_fn = gd.training.supervised(model, "cross_entropy")
    evaluate = gd.training.make_evaluate(loss_fn)
    start = gd.training.init_state(
        model, tx, jax.random.key(0), splits.train.inputs[:1]
    )
    workdir.mkdir(exist_ok=True)
    with Rows(workdir, ["eval_accuracy", "eval_loss"]) as rows:
        result = gd.fit(
            gd.training.make_train_step(loss_fn, tx),
            start,
            gd.data.source(splits.train, 50, seed=0, remainder="keep"),
            num_steps=400,
            evaluate=lambda state: evaluate(state, splits.validation)["last"],
            eval_every=25,
            stop=EarlyStopping(patience=100),
            checkpoints=Checkpoints(workdir / "checkpoints", every_seconds=0.2),
            log=rows,
        )
    loss = float(evaluate(result.state, splits.test)["last"]["loss"])
    (workdir / "results.json").write_text(json.dumps([loss, int(result.state.step)]))


JOBS = {job.__name__: job for job in (digits_mlp, batch_norm_and_dropout)}


def _start(name: str, workdir: Path, cache: Path) -> None:
    from gdjax.training import enable_compilation_cache

    enable_compilation_cache(cache)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    JOBS[name](workdir)


class Killer:
    """Starts jobs in processes that have imported everything; kills some of them."""

    def __init__(self, name: str, folder: Path):
        self._name, self._folder = name, folder
        # Forked from a process that has never woken JAX.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["warm"])
        start = time.monotonic()
        self._run(folder / "whole")
        self.seconds = (time.monotonic() - start) / 2  # later ones need not compile
        self.whole = left_behind(folder / "whole")

    def _run(self, workdir: Path, seconds: float | None = None) -> bool:
        """Whether it came to its end before it was killed."""
        arguments = (self._name, workdir, self._folder / "cache")
        process = self._context.Process(target=_start, args=arguments)
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        assert process.exitcode in (0, -signal.SIGKILL), "the job failed"
        return process.exitcode == 0

    def kill(self, times: int, seed: int) -> tuple[list[float], dict]:
        """Moments of at most so many kills, and what the run left behind in the end."""
        moments, rng, workdir = [], random.Random(seed), self._folder / f"killed-{seed}"
        complete = False
        while not complete and len(moments) < times:
            moments.append(rng.uniform(0.0, self.seconds))
            complete = self._run(workdir, moments[-1])
        if complete:
            moments.pop()
        else:
            assert self._run(workdir)
        return moments, left_behind(workdir)


def left_behind(workdir: Path) -> dict[str, object]:
    """All that must be the same, bit for bit."""
    import orbax.checkpoint as ocp
    from flax.traverse_util import flatten_dict

    steps = [
        int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit()
    ]
    newest = ocp.PyTreeCheckpointer().restore(workdir / "checkpoints" / str(max(steps)))
    with open(workdir / "metrics.csv") as file:
        assert all(len(row) == len(set(row)) for row in csv.DictReader(file))
    return {
        **{
            f"checkpoint {name}": (str(x.dtype), np.shape(x), np.asarray(x).tobytes())
            for name, x in flatten_dict(newest, sep="/").items()
        },
        **{
            name: (workdir / name).read_text()
            for name in ("metrics.csv", "metrics.jsonl", "results.json")
        },
    }
