"""Records what torch's optimizers do to six numbers: `python record_torch.py`.

Run once, by hand, where torch 2.13 is installed; `tests/optimizers/test_torch.py`
reads what it wrote, and needs no torch. Float64 on the CPU, one fixed stream of
gradients, so that a run gives the same file. A rate falls as rate / (1 + step / 10)
unless a row says otherwise.
"""

import json
from pathlib import Path

import numpy as np

STEPS, SHAPE = 30, (2, 3)
# {name: (class, arguments)}; `falls` is ours: False keeps the rate as it is.
RUNS = {
    "SGD": ("SGD", dict(lr=0.1)),
    "SGD, decay": ("SGD", dict(lr=0.1, weight_decay=0.1, momentum=0.9)),
    "SGD, momentum": ("SGD", dict(lr=0.1, momentum=0.9)),
    "SGD, Nesterov": ("SGD", dict(lr=0.1, momentum=0.9, nesterov=True)),
    "Adam": ("Adam", dict(lr=0.1, betas=(0.8, 0.95), eps=1e-2)),
    "Adam, defaults": ("Adam", dict()),
    "Adam, decay": ("Adam", dict(lr=0.1, weight_decay=0.1)),
    "AdamW": ("AdamW", dict(lr=0.1, weight_decay=0.1)),
    "Adam, AMSGrad": (
        "Adam",
        dict(lr=0.1, betas=(0.8, 0.95), eps=1e-2, amsgrad=True),
    ),
    "Adamax": ("Adamax", dict(lr=0.1, betas=(0.8, 0.95), eps=1e-2)),
    "Adamax, decay": ("Adamax", dict(lr=0.1, weight_decay=0.1)),
    "NAdam": ("NAdam", dict(lr=0.1)),
    "NAdam, fixed b1": ("NAdam", dict(lr=0.1, momentum_decay=1e6)),
    "RAdam": ("RAdam", dict(lr=0.1, betas=(0.9, 0.95), eps=1e-2)),
    "RAdam, eps 0": ("RAdam", dict(lr=0.1, betas=(0.9, 0.95), eps=0.0)),
    "RMSprop": ("RMSprop", dict(lr=0.1, eps=1e-2)),
    "RMSprop, centered": ("RMSprop", dict(lr=0.1, eps=1e-2, centered=True)),
    "RMSprop, momentum": ("RMSprop", dict(lr=0.1, momentum=0.9)),
    "RMSprop, momentum, constant rate": (
        "RMSprop",
        dict(lr=0.1, momentum=0.9, centered=True, falls=False),
    ),
    "Adagrad": ("Adagrad", dict(lr=0.1)),
    "Adagrad, eps": (
        "Adagrad",
        dict(lr=0.1, eps=1e-2, initial_accumulator_value=0.3),
    ),
    "Adadelta": ("Adadelta", dict()),
    "Adadelta, decay": ("Adadelta", dict(lr=3.0, rho=0.8, eps=1e-2, weight_decay=0.1)),
    "Rprop": ("Rprop", dict(lr=0.1)),
    "Adafactor": ("Adafactor", dict(lr=0.3, falls=False)),
    "Adafactor, decay": ("Adafactor", dict(lr=0.1, weight_decay=0.1)),
}


def rate_at(first, step):
    return first / (1 + step / 10)


def record(name, arguments, start, gradients):
    """The parameters after each step, [STEPS, 2, 3]."""
    import torch

    arguments = dict(arguments)
    falls = arguments.pop("falls", True)
    p = torch.nn.Parameter(torch.tensor(start))
    optimizer = getattr(torch.optim, name)([p], **arguments, foreach=False)
    group = optimizer.param_groups[0]
    first, path = group["lr"], []
    for step, gradient in enumerate(gradients):
        group["lr"] = rate_at(first, step) if falls else first
        p.grad = torch.tensor(gradient)
        optimizer.step()
        path.append(p.tolist())
    return path


def main():
    import torch

    torch.set_default_dtype(torch.float64)  # NAdam's product of b1 is f32 otherwise
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=SHAPE), rng.normal(size=(STEPS, *SHAPE))
    runs = {key: record(*run, start, gradients) for key, run in RUNS.items()}
    told = dict(
        torch=torch.__version__,
        start=start.tolist(),
        gradients=gradients.tolist(),
        runs=runs,
    )
    text = json.dumps(told).replace('"runs"', '\n"runs"').replace(']]], "', ']]],\n"')
    Path(__file__).with_name("torch.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
