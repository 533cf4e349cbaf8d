"""Steps a second of the digits job against peers, and what its records cost it.

python benchmarks/main_job.py

Peers: Flax and Optax the usual way, and torch where it is installed; the same model
(64-128-128-10, ReLU), batches of 64 and optimizer (clip by global norm, AdamW, warm-up
and cosine) for all. Records: `fit` with rows of metrics in files every 10 steps, and
with checkpoints, against a bare loop over the same calls, at the width of
`configs/digits_mlp.py`. Contenders run in turn; medians over pairs with the middle half
of the ratios in brackets.
"""

import importlib.util
import itertools
import math
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _timing import paired, spread
from flax import nnx

import gdjax as gd

PAIRS, STEPS, WIDTH, BATCH, PER_CALL = 9, 1000, 128, 64, 25
WIDE, MORE, SAVES, IN_FLIGHT = 256, 4000, 8, 8
PEAK, WARMUP, WHOLE, END = 2e-3, 150, 1500, 4e-4
DECAY = 1e-2


def job(source, width):
    model = gd.models.mlp([width, width, 10])
    rate = gd.warmup_cosine_decay_schedule(0.0, PEAK, WARMUP, WHOLE, END)
    adamw = gd.adamw(rate, weight_decay=DECAY)
    tx = gd.chain(gd.clip_by_global_norm(1.0), adamw)
    loss_fn = gd.training.supervised(model, "cross_entropy")
    step = gd.training.make_train_step(loss_fn, tx, steps_per_call=PER_CALL)
    key, inputs = jax.random.key(0), source.batch(0).inputs
    return step, lambda: gd.training.init_state(model, tx, key, inputs)


def ours(source):
    step, init = job(source, WIDTH)
    state = init()

    def run():
        nonlocal state
        start = int(state.step)
        result = gd.training.fit(
            step,
            state,
            source,
            num_steps=start + STEPS,
            log_every=PER_CALL,
            progress=False,
        )
        state = result.state
        return state

    return run


def flax_and_optax(source):
    class MLP(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(64, WIDTH, rngs=rngs)
            self.second = nnx.Linear(WIDTH, WIDTH, rngs=rngs)
            self.output = nnx.Linear(WIDTH, 10, rngs=rngs)

        def __call__(self, x):
            return self.output(nnx.relu(self.second(nnx.relu(self.first(x)))))

    rate = optax.warmup_cosine_decay_schedule(0.0, PEAK, WARMUP, WHOLE, END)
    adamw = optax.adamw(rate, weight_decay=DECAY)
    model = MLP(nnx.Rngs(0))
    tx = optax.chain(optax.clip_by_global_norm(1.0), adamw)
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, x, y):
        def loss_fn(model):
            losses = optax.softmax_cross_entropy_with_integer_labels(model(x), y)
            return jnp.mean(losses)

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    counter = itertools.count()

    def run():
        losses = [step(model, optimizer, *source.batch(next(counter)))]
        for _ in range(STEPS - 1):
            losses.append(step(model, optimizer, *source.batch(next(counter))))
        return losses

    return run


def torch_fused(source):
    import torch  # pyright: ignore[reportMissingImports]
    from torch import nn  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(2)
    model = nn.Sequential(
        nn.Linear(64, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, 10),
    )
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=PEAK, weight_decay=DECAY, fused=True
    )

    def rate(t):
        z = min(1.0, max(0.0, (t - WARMUP) / (WHOLE - WARMUP)))
        fall = END + (PEAK - END) * (1 + math.cos(math.pi * z)) / 2
        return t / WARMUP if t < WARMUP else fall / PEAK

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    criterion, counter = nn.CrossEntropyLoss(), itertools.count()

    def run():
        for _ in range(STEPS):
            x, y = source.batch(next(counter))
            optimizer.zero_grad()
            loss = criterion(model(torch.from_numpy(x)), torch.from_numpy(y).long())
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
        return loss.item()

    return run


def records(source):
    """The bare loop, `fit` with rows, and `fit` with rows and checkpoints."""
    step, init = job(source, WIDE)
    start = init()
    saving = []  # seconds that each save took from the loop's thread

    class Timed(gd.training.Checkpoints):
        def copy(self, *args):
            return self._timed(super().copy, *args)

        def write(self, *args, **options):
            return self._timed(super().write, *args, **options)

        def _timed(self, function, *args, **options):
            before = time.perf_counter()
            result = function(*args, **options)
            saving.append(time.perf_counter() - before)
            return result

    def bare():
        state, waiting = jax.tree.map(jnp.copy, start), []
        for first in range(0, MORE, PER_CALL):
            batches = [source.batch(first + i) for i in range(PER_CALL)]
            stacked = jax.tree.map(lambda *x: np.stack(x), *batches)
            state, metrics = step(state, stacked)
            waiting.append(metrics)
            if len(waiting) > IN_FLIGHT:
                jax.block_until_ready(waiting.pop(0))
        return state

    def fit(directory, **options):
        with gd.training.Rows(directory) as rows:
            return gd.fit(
                step,
                jax.tree.map(jnp.copy, start),
                source,
                num_steps=MORE,
                log_every=10,
                log=rows,
                progress=False,
                **options,
            ).state

    def with_rows():
        with tempfile.TemporaryDirectory() as directory:
            return fit(directory)

    def with_saves():
        with tempfile.TemporaryDirectory() as directory:
            checkpoints = Timed(directory, every_steps=MORE // SAVES)
            checkpoints.wait()
            return fit(directory, checkpoints=checkpoints)

    return bare, with_rows, with_saves, saving


def main() -> None:
    train = gd.data.load("digits").train
    source = gd.data.source(train, BATCH, seed=0)
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}\n")
    print_peers(source)
    print_records(source)


def print_peers(source) -> None:
    mine = ours(source)
    peers = {"flax nnx.jit + optax": flax_and_optax(source)}
    if importlib.util.find_spec("torch"):
        peers["torch, AdamW fused"] = torch_fused(source)
    jax.block_until_ready(mine())
    print("| peer | ours (`fit`, rows each 25 steps) | peer | times as fast |")
    print("|---|---|---|---|")
    for name, peer in peers.items():
        jax.block_until_ready(peer())
        seconds, theirs, ratios = paired(mine, peer, PAIRS)
        faster = sorted(1 / ratio for ratio in ratios)
        print(
            f"| {name} | {STEPS / seconds:,.0f} | {STEPS / theirs:,.0f} "
            f"| {spread(faster)} |"
        )


def print_records(source) -> None:
    bare, with_rows, with_saves, saving = records(source)
    for contender in (bare, with_rows, with_saves):
        jax.block_until_ready(contender())
    _, seconds, ratios = paired(with_rows, bare, PAIRS)
    print(f"\nbare loop at width {WIDE}: {MORE / seconds:,.0f} steps a second")
    print(f"rows every 10 steps: {spread(ratios)} of the bare loop")
    saving.clear()
    with_all, without, ratios = paired(with_saves, with_rows, PAIRS)
    print(f"{SAVES} saves in {MORE} steps: {spread(ratios)} of the same without")
    mean, most = sum(saving) / (PAIRS * SAVES), max(saving)
    print(f"a save in the loop's thread: {1e3 * mean:.2f} ms, at most {1e3 * most:.2f}")
    print(f"a save on all cores together: {1e3 * (with_all - without) / SAVES:.1f} ms")


if __name__ == "__main__":
    main()
