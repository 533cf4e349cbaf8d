"""What the ready-made networks share: options by name, and sizes read from inputs."""

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

from gdjax._checks import UNIT, floating, integer, number, one_of
from gdjax.models._initializers import initializer as kernel_initializer
from gdjax.models._model import Model, from_nnx
from gdjax.tree import Tree

if TYPE_CHECKING:
    from flax import nnx

Layer: TypeAlias = Callable[[jax.Array], jax.Array]
Size = TypeVar("Size", bound=Hashable)

_ACTIVATIONS = (
    "relu",
    "gelu",
    "silu",
    "tanh",
    "sigmoid",
    "identity",
    "elu",
    "selu",
    "celu",
    "leaky_relu",
    "softplus",
    "soft_sign",
    "mish",
    "relu6",
    "hard_tanh",
    "hard_sigmoid",
    "hard_silu",
)


class Parts:
    """The options that networks have in common, checked, and the layers made of them.

    Args:
      normalizations: the names that `normalization` may have beside None.

    Attributes:
      activate: the activation.
      kernel_init: the initialiser of hidden kernels.
      biased: whether a layer in front of a norm has a bias. The mean that a batch norm
        takes away has the bias in it: its gradient would be zero up to rounding.
      param_dtype: the dtype of all parameters.
    """

    def __init__(
        self,
        *,
        activation: str,
        initializer: str,
        normalization: str | None,
        dropout: float,
        param_dtype: jax.typing.DTypeLike,
        normalizations: Sequence[str] = ("batch", "layer"),
    ):
        self.activate: Layer = getattr(
            jax.nn, one_of("activation", activation, _ACTIVATIONS)
        )
        self.kernel_init = kernel_initializer(initializer)
        if normalization not in (None, *normalizations):
            *most, last = map(repr, (None, *normalizations))
            raise ValueError(
                f"`normalization` must be {', '.join(most)} or {last}, got "
                f"{normalization!r}."
            )
        self._normalization = normalization
        self.biased = normalization != "batch"
        self._dropout = float(number("dropout", dropout, UNIT))
        given = floating("param_dtype", param_dtype)
        self.param_dtype = jnp.float32 if given is None else given

    def linear(
        self,
        width: int,
        outputs: int,
        rngs: "nnx.Rngs",
        *,
        bias: bool = True,
        kernel_init: Initializer | None = None,
    ) -> "nnx.Linear":
        from flax import nnx

        return nnx.Linear(
            width,
            outputs,
            use_bias=bias,
            kernel_init=kernel_init or self.kernel_init,
            param_dtype=self.param_dtype,
            rngs=rngs,
        )

    def output(self, width: int, outputs: int, rngs: "nnx.Rngs") -> "nnx.Linear":
        """The last layer: no activation follows that its kernel could be made for."""
        lecun = kernel_initializer("lecun_normal")
        return self.linear(width, outputs, rngs, kernel_init=lecun)

    def norm(self, width: int, rngs: "nnx.Rngs") -> Layer:
        """The normalisation of `width` features, the last axis; or the identity."""
        from flax import nnx

        if self._normalization is None:
            return jax.nn.identity
        if self._normalization == "layer":
            return nnx.LayerNorm(width, param_dtype=self.param_dtype, rngs=rngs)
        norm = nnx.BatchNorm(
            width, momentum=0.9, param_dtype=self.param_dtype, rngs=rngs
        )
        # Flax keeps f32 statistics of an f64 net.
        dtype = jnp.promote_types(self.param_dtype, jnp.float32)
        norm.mean = nnx.BatchStat(jnp.zeros(width, dtype))
        norm.var = nnx.BatchStat(jnp.ones(width, dtype))
        return norm

    def dropout(self, rngs: "nnx.Rngs") -> Layer:
        """Dropout in train mode; the identity, which needs no key, where it is 0."""
        from flax import nnx

        return (
            nnx.Dropout(self._dropout, rngs=rngs) if self._dropout else jax.nn.identity
        )

    def embedding(self, vocabulary: int, width: int, rngs: "nnx.Rngs") -> "nnx.Embed":
        from flax import nnx

        return nnx.Embed(
            vocabulary,
            width,
            embedding_init=nnx.initializers.normal(1.0),
            param_dtype=self.param_dtype,
            rngs=rngs,
        )


def widths(name: str, values: Sequence[int]) -> list[int]:
    """`values`, a list of at least one integer >= 1 each."""
    if not isinstance(values, Sequence) or not values:
        raise ValueError(f"`{name}` must be a list of widths, got {values!r}.")
    return [integer(name, width, 1) for width in values]


def check_tokens(inputs: jax.Array) -> None:
    """Refuses inputs that are no integers [n, T]."""
    if jnp.ndim(inputs) != 2 or not jnp.issubdtype(inputs.dtype, jnp.integer):
        raise ValueError(
            "`inputs` must be integer tokens [n, T], got "
            f"{inputs.dtype} of shape {jnp.shape(inputs)}."
        )


def sized(
    size_of: Callable[[Tree], Size],
    make_module: Callable[[Size, "nnx.Rngs"], "nnx.Module"],
) -> Model:
    """A model whose module has a size that the shape of its inputs decides.

    Args:
      size_of: what `make_module` has to know, from the inputs, of which only shapes
        and dtypes are read; raises a ValueError where they do not fit.
      make_module: `(size, rngs) -> module`.
    """

    @functools.cache
    def of(size: Size) -> Model:
        return from_nnx(lambda rngs: make_module(size, rngs))

    def init(key, inputs):
        return of(size_of(inputs)).init(key, inputs)

    def apply(params, model_state, inputs, *, train=False, key=None):
        model = of(size_of(inputs))
        return model.apply(params, model_state, inputs, train=train, key=key)

    return Model(init, apply)
