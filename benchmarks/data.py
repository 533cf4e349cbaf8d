"""Examples a second of `batch(step)` at the shape of MNIST, against grain and torch.

python benchmarks/data.py

60,000 images of 28 x 28 x 1 made up here, in f32 and as bytes, each with a label, in
shuffled batches of 128, read in one process by one thread. grain is
`MapDataset.source(...).shuffle().batch()` over the arrays in memory, torch is
`DataLoader(TensorDataset(...), shuffle=True)`, and, for those who know how, one that
asks for the rows of a batch at once; each is left out where it is not installed.
Contenders run in turn over whole epochs; medians over pairs with the middle
half of the ratios in brackets.
"""

import functools
import importlib.util
import itertools
from collections import deque

import jax
import numpy as np
from _timing import paired, spread

import gdjax as gd

EXAMPLES, BATCH, PAIRS = 60_000, 128, 9
STEPS = EXAMPLES // BATCH  # an epoch


def ours(images, labels):
    source = gd.data.source((images, labels), BATCH, seed=0)
    steps = itertools.count()

    def epoch():
        for _ in range(STEPS):
            batch = source.batch(next(steps))
        return batch

    return epoch


def grain(images, labels):
    import grain  # pyright: ignore[reportMissingImports]

    class Rows:
        def __len__(self):
            return EXAMPLES

        def __getitem__(self, index):
            return images[index], labels[index]

    rows = grain.MapDataset.source(Rows()).seed(0)  # pyright: ignore
    batches = rows.shuffle().repeat().batch(BATCH, drop_remainder=True)
    steps = itertools.count()

    def epoch():
        for _ in range(STEPS):
            batch = batches[next(steps)]
        return batch

    return epoch


def torch(images, labels, whole_batches=False):
    import torch  # pyright: ignore[reportMissingImports]
    from torch.utils import data  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(1)  # as ours; two need both cores to themselves
    rows = data.TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))
    if whole_batches:
        order = data.BatchSampler(data.RandomSampler(rows), BATCH, drop_last=True)
        loader = data.DataLoader(rows, sampler=order, batch_size=None)
    else:
        loader = data.DataLoader(rows, batch_size=BATCH, shuffle=True, drop_last=True)

    def epoch():
        # Of no length: a batch is dropped as soon as the next one is there.
        return deque(loader, maxlen=0)

    return epoch


def main() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (EXAMPLES, 28, 28, 1), np.uint8)
    labels = rng.integers(0, 10, EXAMPLES).astype(np.int32)
    peers = {
        "grain": grain,
        "torch": torch,
        "torch, whole batches": functools.partial(torch, whole_batches=True),
    }
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}\n")
    print("| images | peer | ours, examples/s | peer | times as fast |")
    print("|---|---|---|---|---|")
    for images in (pixels.astype(np.float32), pixels):
        kind = images.dtype.name
        for name, peer in peers.items():
            if importlib.util.find_spec(name.partition(",")[0]):
                compare(kind, name, images, labels, peer)
            else:
                print(f"| {kind} | {name} | not installed | | |")


def compare(kind, name, images, labels, peer) -> None:
    mine, theirs = ours(images, labels), peer(images, labels)
    mine()
    theirs()
    seconds, others, ratios = paired(mine, theirs, PAIRS)
    faster = sorted(1 / ratio for ratio in ratios)
    rates = [STEPS * BATCH / s for s in (seconds, others)]
    print(
        f"| {kind} | {name} | {rates[0]:,.0f} | {rates[1]:,.0f} | {spread(faster)} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
