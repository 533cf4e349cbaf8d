"""From a model and a criterion to the losses that steps and instruments take."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import optax

from gdjax import tree
from gdjax.models import Model

Batch: TypeAlias = optax.Params  # any tree of arrays
ModelState: TypeAlias = optax.Params
Metrics: TypeAlias = dict[str, jax.Array]
Aux: TypeAlias = tuple[ModelState, Metrics]
LossFn: TypeAlias = Callable[
    [optax.Params, ModelState, Batch, jax.Array | None], tuple[jax.Array, Aux]
]
Criterion: TypeAlias = Callable[[jax.Array, jax.Array], jax.Array]


def supervised(model: Model, criterion: str | Criterion) -> LossFn:
    """The loss of a model on (inputs, targets): the mean of a criterion over examples.

        loss = mean_i criterion(outputs_i, targets_i),   outputs = model(inputs)

        "cross_entropy"   -log softmax(outputs)[target], or -sum p log softmax(outputs)
        "mse"             mean of |outputs - targets|^2 over all but the batch axis

    Losses are computed in at least f32. A batch is a pair of inputs [batch, ...] and
    targets: for "cross_entropy" integer labels [batch] or probabilities
    [batch, classes] (more axes in between are averaged over), for "mse" of exactly the
    outputs' shape: nothing is broadcast.

    Args:
      model: outputs logits for "cross_entropy".
      criterion: a name, or a function (outputs, targets) -> [batch].

    Returns:
      `loss_fn(params, model_state, batch, key) -> (loss, (model_state, metrics))`.
      A key means training; `key=None` means evaluation: no dropout, and the model's
      state is used, not renewed. Metrics are `loss`, and `accuracy` for
      "cross_entropy".

    Raises:
      ValueError: there is no such criterion; from `loss_fn`, the shapes do not fit.

    Example:
      >>> model = gd.models.mlp([3])
      >>> loss_fn = supervised(model, "cross_entropy")
      >>> batch = (jnp.ones((5, 4)), jnp.zeros(5, int))
      >>> params, model_state = model.init(jax.random.key(0), batch[0])
      >>> loss, (_, metrics) = loss_fn(params, model_state, batch, None)
      >>> sorted(metrics)
      ['accuracy', 'loss']
    """
    named = {"cross_entropy": _cross_entropy, "mse": _mse}
    if not callable(criterion) and criterion not in named:
        raise ValueError(
            '`criterion` must be "cross_entropy", "mse" or a function '
            f"(outputs, targets) -> [batch], got {criterion!r}."
        )

    def loss_fn(params, model_state, batch, key):
        inputs, targets = batch
        outputs, model_state = model.apply(
            params, model_state, inputs, train=key is not None, key=key
        )
        if callable(criterion):
            losses, metrics = criterion(outputs, targets), {}
            if jnp.shape(losses) != jnp.shape(outputs)[:1]:
                raise ValueError(
                    "`criterion` must return one loss an example, shape "
                    f"{jnp.shape(outputs)[:1]}, got shape {jnp.shape(losses)}."
                )
        else:
            outputs = outputs.astype(tree.compute_dtype(outputs.dtype))
            losses, metrics = named[criterion](outputs, targets)
        loss = jnp.mean(losses)
        return loss, (model_state, {"loss": loss, **metrics})

    return loss_fn


def _cross_entropy(outputs: jax.Array, targets: jax.Array) -> tuple[jax.Array, Metrics]:
    """Losses [batch, ...] and the share of examples whose largest logit is right."""
    if targets.shape == outputs.shape:
        losses = optax.softmax_cross_entropy(outputs, targets)
        labels = jnp.argmax(targets, -1)
    elif targets.shape == outputs.shape[:-1] and jnp.issubdtype(
        targets.dtype, jnp.integer
    ):
        losses = optax.softmax_cross_entropy_with_integer_labels(outputs, targets)
        labels = targets
    else:
        raise ValueError(
            "`targets` must be integer labels of shape "
            f"{outputs.shape[:-1]} or probabilities of shape {outputs.shape}, got "
            f"{targets.dtype} of shape {targets.shape}."
        )
    hits = jnp.argmax(outputs, -1) == labels
    return losses, {"accuracy": jnp.mean(hits, dtype=losses.dtype)}


def _mse(outputs: jax.Array, targets: jax.Array) -> tuple[jax.Array, Metrics]:
    if targets.shape != outputs.shape:
        raise ValueError(
            f"`targets` must have the shape of the outputs, {outputs.shape}, got "
            f"{targets.shape}."
        )
    return optax.squared_error(outputs, targets), {}


def freeze(
    loss_fn: LossFn, model_state: ModelState
) -> Callable[[optax.Params, Batch], jax.Array]:
    """A loss of parameters and batch alone, evaluated with a fixed `model_state`.

    Args:
      loss_fn: as `supervised` returns it.
      model_state: what the model needs beside its parameters.

    Returns:
      `loss(params, batch) -> scalar`, in evaluation mode.

    Example:
      >>> model = gd.models.mlp([1])
      >>> loss = freeze(supervised(model, "mse"), {})
      >>> params, _ = model.init(jax.random.key(0), jnp.ones((2, 3)))
      >>> loss(params, (jnp.ones((2, 3)), jnp.ones((2, 1)))).shape
      ()
    """
    return lambda params, batch: loss_fn(params, model_state, batch, None)[0]
