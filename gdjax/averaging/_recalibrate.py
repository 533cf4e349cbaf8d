"""Statistics of batch norms, computed anew for parameters that no step has seen."""

import functools
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import optax

from gdjax import tree


def recalibrate_batch_stats(
    apply: Callable,
    params: optax.Params,
    model_state: optax.Params,
    batches: Iterable[tree.Tree],
    *,
    key: jax.Array | None = None,
) -> optax.Params:
    """The statistics that belong to `params`, such as an average of the iterates.

        mean = sum_k n_k mean_k / n,   var = sum_k n_k (var_k + (mean_k - mean)^2) / n

    over batches k of n_k examples: the mean and the variance of all examples, not an
    exponential average, to rounding. One pass in train mode, whatever decay the norms
    have. A second norm sees what train mode gives it, inputs that the first has
    normalised by each batch alone: the statistics of all layers come out of one pass,
    those of deeper ones for batches of this size. (In evaluation mode the first
    normalises by all examples, so that large batches are the better.)

    Args:
      apply: as of a `Model`, not under a `jit` of its own: `apply(params, model_state,
        inputs, train=True, key=key) -> (outputs, model_state)`; compiled once for each
        shape of `inputs` and kept for the next call with the same `apply`.
      params: the parameters.
      model_state: the leaves called `mean` and `var` are replaced, as Flax's batch
        norms call them; those that train mode does not change, and others, stay.
      batches: inputs, [batch, ...]; sizes may differ.
      key: for what is random in train mode, such as dropout, which stays on.

    Returns:
      A tree like `model_state`; an empty one where it is empty.

    Raises:
      ValueError: `batches` is empty, or `model_state` has leaves, but none called
        `mean` or `var`.

    Example:
      >>> from flax import nnx
      >>> model = gd.models.from_nnx(lambda rngs: nnx.BatchNorm(1, rngs=rngs))
      >>> params, model_state = model.init(jax.random.key(0), jnp.ones((1, 1)))
      >>> batches = [jnp.array([[0.0], [2.0]]), jnp.array([[7.0]])]
      >>> new = recalibrate_batch_stats(model.apply, params, model_state, batches)
      >>> print(new["mean"], new["var"].astype(int))
      [3.] [8]

    Reference: Izmailov et al. (2018), arXiv:1803.05407, section 3.2.
    """
    leaves = tree.named_leaves(model_state)
    if not leaves:
        return model_state
    if not any(map(_is_statistic, leaves)):
        raise ValueError(
            "`model_state` holds no leaf called `mean` or `var`, but "
            f"{', '.join(leaves)}."
        )
    total, found = 0, None
    for place, inputs in enumerate(batches):
        size = len(jax.tree.leaves(inputs)[0])
        fold = None if key is None else jax.random.fold_in(key, place)
        new = _of_batch(apply, params, model_state, inputs, fold)
        total += size
        found = new if found is None else _together(found, new, size / total)
    if found is None:
        raise ValueError("`batches` is empty: at least one is needed.")
    new = [tree.stored(found.get(path, x), x) for path, x in leaves.items()]
    return jax.tree.structure(model_state).unflatten(new)


def _is_statistic(path: str) -> bool:
    return path.rpartition("/")[2] in ("mean", "var")


@functools.partial(jax.jit, static_argnames="apply")
def _of_batch(apply, params, model_state, inputs, key) -> dict[str, jax.Array]:
    """The statistics of one batch, from what a step in train mode makes of two others.

    From 0 it makes (1 - decay) statistic, from a number so large that the statistic
    vanishes beside it decay times that. XLA computes what both have in common once.
    """
    leaves = tree.named_leaves(model_state)
    large = lambda x: 2.0 ** (jnp.finfo(x.dtype).maxexp // 2)

    def step(new: dict[str, jax.Array]) -> dict[str, jax.Array]:
        state = jax.tree.structure(model_state).unflatten(new.values())
        _, state = apply(params, state, inputs, train=True, key=key)
        return tree.named_leaves(state)

    # What comes back as it is may be used, by a norm that is frozen: it stays.
    same = step(leaves)
    moved = {p: x for p, x in leaves.items() if _is_statistic(p) and same[p] is not x}

    def after(start: Callable) -> dict[str, jax.Array]:
        return jax.tree.map(
            tree.widened, step(leaves | {p: start(x) for p, x in moved.items()})
        )

    zeros = after(jnp.zeros_like)
    larges = after(lambda x: jnp.full_like(x, large(x)))
    found = {}
    for path, old in moved.items():
        share = _exact(1 - (larges[path] - zeros[path]) / large(old))
        frozen = share == 0
        new = zeros[path] / jnp.where(frozen, 1, share)
        found[path] = jnp.where(frozen, old, new)
    return found


def _exact(share: jax.Array) -> jax.Array:
    """1 - decay, of which f32 loses digits: with six decimals, if it may have them."""
    near = jnp.round(1e6 * share) / 1e6
    return jnp.where(abs(near - share) <= 2 * jnp.finfo(share.dtype).eps, near, share)


@jax.jit
def _together(old, new, share) -> dict[str, jax.Array]:
    """Of all examples, a `share` of which are new."""
    mixed = {path: x + share * (new[path] - x) for path, x in old.items()}
    for path in mixed:
        mean = path.removesuffix("var") + "mean"
        if mean != path and mean in old:
            mixed[path] += share * (1 - share) * (new[mean] - old[mean]) ** 2
    return mixed
