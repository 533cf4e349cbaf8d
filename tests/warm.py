"""Imported by the server that tests fork their processes from: all that takes long."""

# ruff: noqa: F401
import flax.nnx
import matplotlib.pyplot
import ml_collections
import orbax.checkpoint
import sklearn.datasets
import tensorboardX

import gdjax
