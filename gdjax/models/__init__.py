"""Models as two pure functions, `init` and `apply`, of nested dicts of arrays.

`Model` is the contract that training and every instrument rely on; `from_nnx` makes one
of any Flax NNX module, `mlp` is ready made, `initializer` knows how kernels start. Flax
is imported when a model is built, not with this package.
"""

from gdjax.models._initializers import initializer
from gdjax.models._mlp import mlp
from gdjax.models._model import Model, from_nnx

__all__ = ["Model", "from_nnx", "initializer", "mlp"]
