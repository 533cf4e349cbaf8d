"""Initialisers by name: the variances that deep networks start from."""

import jax
import jax.numpy as jnp
from jax.nn import initializers

from gdjax._checks import one_of


def _orthogonal() -> initializers.Initializer:
    """Drawn in at least f32: LAPACK knows no shorter floats."""

    def init(key, shape, dtype=None, out_sharding=None):
        dtype = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
        wide = jnp.promote_types(dtype, jnp.float32)
        q = initializers.orthogonal()(key, shape, wide, out_sharding)
        return q.astype(dtype)

    return init


_FACTORIES = {
    "he": initializers.he_normal,
    "he_normal": initializers.he_normal,
    "he_uniform": initializers.he_uniform,
    "xavier": initializers.glorot_normal,
    "xavier_normal": initializers.glorot_normal,
    "xavier_uniform": initializers.glorot_uniform,
    "glorot": initializers.glorot_normal,
    "glorot_normal": initializers.glorot_normal,
    "glorot_uniform": initializers.glorot_uniform,
    "lecun": initializers.lecun_normal,
    "lecun_normal": initializers.lecun_normal,
    "lecun_uniform": initializers.lecun_uniform,
    "orthogonal": _orthogonal,
}
NAMES = tuple(_FACTORIES)


def initializer(name: str) -> initializers.Initializer:
    """The initialiser of kernels called `name`.

    Entries have mean 0 and variance 2 / fan_in ("he", for ReLU), 1 / fan_in ("lecun",
    which keeps the variance of a linear layer or SELU) or 2 / (fan_in + fan_out)
    ("xavier", also called "glorot": a compromise between the forward and the backward
    pass). They are drawn from a normal distribution truncated at two standard
    deviations ("..._normal", and the short names) or from a uniform one
    ("..._uniform"). "orthogonal" gives a matrix Q with Q^T Q = I or Q Q^T = I,
    whichever its shape allows. The last axis of a kernel is its outputs, all others
    together are its inputs.

    Args:
      name: "he", "lecun", "xavier", "glorot", each alone or with "_normal" or
        "_uniform" behind it; or "orthogonal".

    Returns:
      `(key, shape, dtype=float) -> array`.

    Raises:
      ValueError: there is no such name.

    Example:
      >>> import jax
      >>> kernel = initializer("he")(jax.random.key(0), (200, 300))
      >>> f"{200 * kernel.var():.1f}"
      '2.0'

    Reference: He et al. 2015, arXiv:1502.01852; Glorot and Bengio 2010, AISTATS;
    LeCun et al. 1998, Efficient BackProp; Saxe et al. 2014, arXiv:1312.6120.
    """
    return _FACTORIES[one_of("initializer", name, NAMES)]()
