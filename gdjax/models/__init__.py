"""Models as two pure functions, `init` and `apply`, of nested dicts of arrays.

`Model` is the contract that training and every instrument rely on. `from_nnx` and
`from_linen` make one of anybody's Flax module; `mlp`, `conv_net`, `residual_net`,
`recurrent` and `transformer` are ready made, with their options by name, and
`initializer` knows how kernels start. Flax is imported when a model is built, not with
this package.
"""

from gdjax.models._conv_net import conv_net
from gdjax.models._initializers import initializer
from gdjax.models._linen import from_linen
from gdjax.models._mlp import mlp
from gdjax.models._model import Model, from_nnx
from gdjax.models._recurrent import recurrent
from gdjax.models._residual_net import residual_net
from gdjax.models._transformer import transformer

__all__ = [
    "Model",
    "conv_net",
    "from_linen",
    "from_nnx",
    "initializer",
    "mlp",
    "recurrent",
    "residual_net",
    "transformer",
]
