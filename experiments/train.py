"""Trains what a config describes, and keeps all that it takes to repeat it.

Usage:
  python experiments/train.py --config=FILE [--config.KEY=VALUE ...] [flags]

Examples:
  Train a perceptron on handwritten digits, in runs/digits_mlp:

    python experiments/train.py --config=configs/digits_mlp.py

  The same, shorter and with another rate, in a directory of its own:

    python experiments/train.py --config=configs/digits_mlp.py \\
        --config.num_steps=500 --config.optimizer.learning_rate=3e-3 \\
        --workdir=runs/short

  Go on with that run where it was stopped:

    python experiments/train.py --config=runs/short/config.json

  Train on the arrays inputs and targets of data/flowers.npz:

    python experiments/train.py --config=configs/digits_mlp.py \\
        --data_dir=data --config.data.name=flowers --workdir=runs/flowers
"""

import sys

import _command


def train(job: _command.Job):
    from gdjax import training

    return training.run(job.config, job.workdir, data_dir=job.data_dir)


if __name__ == "__main__":
    sys.exit(_command.main(train, __doc__))
