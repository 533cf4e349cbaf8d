"""A model as two pure functions, and how a Flax NNX module becomes one."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import jax
import jax.numpy as jnp

from gdjax.tree import Tree

if TYPE_CHECKING:
    from flax import nnx

Variables: TypeAlias = dict[str, Any]  # nested dicts of arrays


class Init(Protocol):
    def __call__(
        self, key: jax.Array, inputs: Tree, /
    ) -> tuple[Variables, Variables]: ...


class Apply(Protocol):
    def __call__(
        self,
        params: Tree,
        model_state: Tree,
        inputs: Tree,
        /,
        *,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> tuple[Tree, Variables]: ...


class Model(NamedTuple):
    """A model as two pure functions of arrays, whatever library defined it.

    Both run under `jit`, `grad`, `vmap` and `lax.scan`. Write the two functions by
    hand, or take them from Flax with `from_nnx`.

    Attributes:
      init: `init(key, inputs) -> (params, model_state)`, both nested dicts of arrays.
        Only the shapes and dtypes of `inputs` are read.
      apply: `apply(params, model_state, inputs, *, train=False, key=None) ->
        (outputs, model_state)`. `train` is a Python bool. `model_state` holds what
        changes without a gradient, such as the statistics of a batch norm, and keeps
        its structure, shapes and dtypes; it is `{}` where there is no such thing.
        `key` feeds what is random in train mode, such as dropout.
    """

    init: Init
    apply: Apply


def from_nnx(make_model: Callable[["nnx.Rngs"], "nnx.Module"]) -> Model:
    """A model from a function that builds a Flax NNX module.

    Every `nnx.Param` of the module is a leaf of `params`; its random streams are
    dropped; every other variable is a leaf of `model_state`. Both are plain nested
    dicts, keyed by strings: the paths are those of the module's attributes, such as
    `hidden_0/kernel`, and the place in a list is the string "0".

    `init(key, inputs)` draws what `make_model(nnx.Rngs(key))` draws. `apply` puts the
    module into train or eval mode (`nnx.Module.train`, `.eval`), gives each of its
    random streams a key of its own split from `key`, and calls it with `inputs`.
    Variables that only come into being in the call are not kept.

    Args:
      make_model: builds the module, each time the same but for the values that it
        draws. It is called once for each `init`, and once more, without computing
        anything, for the structure.

    Returns:
      The model. Its `apply` raises a ValueError where `params` and `model_state` do
      not hold the module's variables, and in train mode without `key` where the
      module has random streams. In eval mode these may start from a fixed key, as
      dropout does not read them.

    Raises:
      TypeError: from `init` and `apply`, if `make_model` returns something else.

    Example:
      >>> import jax
      >>> from flax import nnx
      >>> model = from_nnx(lambda rngs: nnx.Linear(3, 2, rngs=rngs))
      >>> inputs = jax.numpy.ones((5, 3))
      >>> params, model_state = model.init(jax.random.key(0), inputs)
      >>> jax.tree.map(jax.numpy.shape, params), model_state
      ({'bias': (2,), 'kernel': (3, 2)}, {})
      >>> outputs, model_state = model.apply(params, model_state, inputs)
      >>> outputs.shape
      (5, 2)

    Reference: Flax NNX, https://flax.readthedocs.io/en/latest/nnx_basics.html.
    """
    from flax import nnx, traverse_util

    def variables(module: nnx.Module) -> dict[tuple, nnx.Variable | jax.Array]:
        return dict(nnx.to_flat_state(nnx.state(module)))

    def nested(leaves: dict, names: dict) -> Variables:
        arrays = {}
        for path, name in names.items():
            leaf = leaves[path]
            arrays[name] = leaf.get_value() if isinstance(leaf, nnx.Variable) else leaf
        return traverse_util.unflatten_dict(arrays)

    def make(rngs: nnx.Rngs) -> nnx.Module:
        module = make_model(rngs)
        if not isinstance(module, nnx.Module):
            raise TypeError(f"`make_model` must return an nnx.Module, got {module!r}.")
        return module

    @functools.cache
    def structure():
        """The module's static part in each mode, and where its variables belong.

        `apply` may run where `init` never did: in a process that restored parameters.
        """
        module = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
        graphdef = {}
        module.eval()
        graphdef[False] = nnx.graphdef(module)
        module.train()
        graphdef[True] = nnx.graphdef(module)
        params, rest, random = {}, {}, {}
        for path, leaf in variables(module).items():
            if isinstance(leaf, nnx.RngState):
                random[path] = leaf
            else:
                names = params if isinstance(leaf, nnx.Param) else rest
                # A list counts its items in ints, which JSON and Orbax make strings.
                names[path] = tuple(map(str, path))
        return graphdef, params, rest, random

    def init(key, inputs):
        del inputs  # the module knows its sizes
        _, params, rest, _ = structure()
        leaves = variables(make(nnx.Rngs(key)))
        return nested(leaves, params), nested(leaves, rest)

    def apply(params, model_state, inputs, *, train=False, key=None):
        graphdef, param_names, rest_names, random = structure()
        names = param_names | rest_names
        given = traverse_util.flatten_dict(params)
        given |= traverse_util.flatten_dict(model_state)
        if odd := given.keys() ^ set(names.values()):
            path = min(odd, key=str)
            raise ValueError(
                "`params` and `model_state` must hold the variables of the model, but "
                f"`{'/'.join(map(str, path))}` is "
                f"{'not one of them' if path in given else 'missing'}."
            )
        if random and train and key is None:
            raise ValueError(
                "`key` must be given in train mode, because the model draws random "
                "numbers, got None."
            )
        # Into a numpy array a batch norm would write in place.
        leaves = {path: jnp.asarray(given[name]) for path, name in names.items()}
        if random:
            leaves |= _streams(random, jax.random.key(0) if key is None else key)
        module = nnx.merge(graphdef[bool(train)], nnx.from_flat_state(leaves.items()))
        outputs = module(inputs)
        if rest_names:
            model_state = nested(variables(module), rest_names)
        return outputs, model_state

    return Model(init, apply)


def _streams(random: dict, key: jax.Array) -> dict[tuple, jax.Array]:
    """The variables of random streams, each at the start of a key of its own."""
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)
    keys = iter(jax.random.split(key, len(random)))

    def start(leaf):
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jnp.zeros(leaf.shape, leaf.dtype)  # how often it was used
        return jax.random.split(next(keys), leaf.shape) if leaf.shape else next(keys)

    return {path: start(leaf) for path, leaf in random.items()}
