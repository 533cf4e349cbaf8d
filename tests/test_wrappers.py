"""Every wrapper around every wrapper keeps the laws, or says which order is right."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import QUICK

import gdjax as gd

STEPS = {
    "accumulate": lambda tx: gd.accumulate(tx, 2),
    "guard": gd.guard,
    "independent_decay": lambda tx: gd.independent_decay(tx, 0.01),
    "lookahead": lambda tx: gd.lookahead(tx, 2, 0.5),
    "project": lambda tx: gd.project(tx, gd.projections.projection_non_negative),
    "proximal_l1": lambda tx: gd.proximal_l1(tx, 0.01, 0.1),
    "sam": lambda tx: gd.sam(tx, 0.05),
    "schedule_free": lambda tx: gd.schedule_free(tx, 0.1),
    "swa": lambda tx: gd.swa(tx, 1),
}
EITHER = {
    "inject_hyperparams": lambda tx: gd.inject_hyperparams(
        lambda factor: gd.chain(tx, gd.scale(factor))
    )(0.9),
    "layerwise_decay": lambda tx: gd.layerwise_decay(tx, 0.9, ["a", "b"].index),
    "masked": lambda tx: gd.masked(tx, gd.mask_by_path("a")),
    "partition_by_path": lambda tx: gd.partition_by_path([("^[ab]$", tx)]),
}
WRAPPERS = STEPS | EITHER
SHRINK_OR_SHIFT = {"independent_decay", "layerwise_decay", "project", "proximal_l1"}
# Their steps are those of what is inside, as swa's are.
MEANS = {
    "ema_params": lambda tx: gd.ema_params(tx, 0.9),
    "lawa": lambda tx: gd.lawa(tx, 1, 2),
    "snapshots": lambda tx: gd.snapshots(tx, 1, 2),
}
# (outer, inner) that would be wrong
REFUSED = {
    *(
        (outer, inner)
        for outer in ("swa", "lookahead", "schedule_free")
        for inner in ("accumulate", "guard")
    ),
    *((outer, "swa") for outer in SHRINK_OR_SHIFT | {"lookahead", "schedule_free"}),
    *((outer, "lookahead") for outer in SHRINK_OR_SHIFT),
    *((outer, "schedule_free") for outer in ("independent_decay", "layerwise_decay")),
    *((outer, "project") for outer in SHRINK_OR_SHIFT - {"project"}),
    *((outer, "proximal_l1") for outer in ("independent_decay", "layerwise_decay")),
    *(
        (outer, inner)
        for outer in ("independent_decay", "proximal_l1")
        for inner in ("accumulate", "guard")
    ),
    *((outer, "sam") for outer in ("accumulate", "masked", "partition_by_path")),
}
APART = lambda tx: gd.partition_by_path([("a", tx), ("", tx)])
PARAMS = {"a": jnp.array([0.5, -1.0, 2.0]), "b": jnp.float32(1.5)}
RATES = jnp.array([0.1, 0.02])


def direction():
    return gd.cautious(gd.scale_by_adam())


def optimizer(learning_rate):
    return gd.chain(direction(), gd.scale_by_learning_rate(learning_rate))


def loss(params):
    return jnp.sum((params["a"] - 1) ** 2 * jnp.arange(1.0, 4.0)) + params["b"] ** 2


def step(tx, params, state):
    given = {"value": loss(params), "grad_fn": jax.grad(loss)}
    grads = given["grad_fn"](params)
    updates, state = tx.update(grads, state, params, **given)
    return optax.apply_updates(params, updates), state


def signs(values):
    return jax.tree.map(jnp.sign, values)


# Neither order is right: z, or the slow weights, would not follow.
HELD = {"project", "proximal_l1", "lookahead", "schedule_free"}
NEITHER = {(name, "schedule_free") for name in HELD} | {("lookahead", "lookahead")}
NEITHER |= {(inner, outer) for outer, inner in NEITHER}
PAIRS = {(outer, inner) for outer in WRAPPERS for inner in WRAPPERS} - NEITHER


@pytest.mark.long
@pytest.mark.parametrize(("outer", "inner"), sorted(PAIRS - REFUSED))
def test_it_is_the_same_eagerly_and_in_a_vmapped_scan(outer, inner):
    """Laws 1 to 3: the carry of a scan is fixed, the rate is live, values agree."""
    make = lambda rate: WRAPPERS[outer](WRAPPERS[inner](optimizer(rate)))

    def run(rate):
        tx = make(rate)
        body = lambda carry, _: (step(tx, *carry), None)
        return jax.lax.scan(body, (PARAMS, tx.init(PARAMS)), length=4)[0][0]

    ends = jax.jit(jax.vmap(run), compiler_options=QUICK)(RATES)
    for i, rate in enumerate(RATES):
        tx = make(rate)
        params, state = PARAMS, tx.init(PARAMS)
        for _ in range(4):
            params, state = step(tx, params, state)
        for name, end in params.items():
            travelled = np.max(np.abs(end - PARAMS[name]))
            np.testing.assert_allclose(ends[name][i], end, 0, 1e-5 * travelled)
    moved = np.abs(ends["a"] - PARAMS["a"]).max(1)
    assert moved.min() > 0 and moved[0] != moved[1]


@pytest.mark.parametrize(("outer", "inner"), sorted(REFUSED))
def test_the_wrong_order_is_refused(outer, inner):
    wrap = APART if outer == "partition_by_path" else WRAPPERS[outer]
    tx = wrap(WRAPPERS[inner](optax.sgd(0.1)))
    with pytest.raises(ValueError, match=rf"`{inner}\(.*{outer}.*\)`"):
        step(tx, PARAMS, tx.init(PARAMS))


def test_two_that_do_not_go_together_are_refused():
    for outer, inner in NEITHER:
        tx = WRAPPERS[outer](WRAPPERS[inner](optax.sgd(0.1)))
        words = f"`{outer}` around `{inner}`: .* Neither order is right."
        with pytest.raises(ValueError, match=words):
            tx.init(PARAMS)


@pytest.mark.parametrize("name", MEANS)
def test_the_other_means_belong_where_swa_does(name):
    for outer, inner in REFUSED:
        if "swa" in (outer, inner):
            outer, inner = (name if x == "swa" else x for x in (outer, inner))
            tx = (WRAPPERS | MEANS)[inner](optax.sgd(0.1))
            with pytest.raises(ValueError, match=rf"`{inner}\(.*{outer}.*\)`"):
                (WRAPPERS | MEANS)[outer](tx).init(PARAMS)
    for outer in {*WRAPPERS, *MEANS} - {"lookahead", "schedule_free"} - SHRINK_OR_SHIFT:
        tx = (WRAPPERS | MEANS)[outer](MEANS[name](optax.sgd(0.1)))
        jax.eval_shape(tx.init, PARAMS)


@pytest.mark.parametrize("name", STEPS)
def test_a_wrapper_of_steps_refuses_a_direction(name):
    if name != "swa":
        with pytest.raises(ValueError, match=rf"`{name}` wraps a step, .* direction"):
            STEPS[name](optax.scale_by_adam())


@pytest.mark.parametrize("name", [*STEPS, *MEANS, "inject_hyperparams"])
def test_a_wrapper_of_directions_refuses_a_step(name):
    with pytest.raises(ValueError, match="`cautious` wraps a direction, .* is a step"):
        gd.cautious((WRAPPERS | MEANS)[name](optax.sgd(0.1)))


def test_a_step_is_told_through_a_warm_up_and_a_decay():
    rate = gd.linear_schedule(0.0, 0.1, 5)
    for tx in gd.adamw(rate, weight_decay=9.0), gd.noisy_sgd(0.1, eta=9.0, key=0):
        with pytest.raises(ValueError, match="`inner` is a step"):
            gd.cautious(tx)


def test_what_cannot_be_told_is_taken():
    """A constraint that holds whatever the gradient, no step at all, a traced rate."""
    simplex = gd.project(gd.sgd(0.1), gd.projections.projection_simplex)
    for tx in simplex, optax.set_to_zero(), optax.scale_by_zoom_linesearch(5):
        gd.guard(tx)
    jax.eval_shape(lambda rate: gd.guard(gd.sgd(rate)).init(PARAMS), 0.1)


def test_the_wrong_order_with_wrappers_of_optax_is_refused():
    parts = optax.MultiSteps(optax.sgd(0.1), 2).gradient_transformation()
    finite = optax.apply_if_finite(optax.sgd(0.1), 2)
    for name, inner in ("MultiSteps", parts), ("apply_if_finite", finite):
        for outer in ("independent_decay", "proximal_l1", "lookahead", "swa"):
            with pytest.raises(ValueError, match=rf"`{name}\({outer}\(optimizer"):
                STEPS[outer](inner).init(PARAMS)


def test_what_is_no_transformation_is_refused():
    for wrap in (*STEPS.values(), *MEANS.values(), gd.cautious):
        with pytest.raises(TypeError, match="must be a gradient transformation, got"):
            wrap(gd.adam)


@pytest.mark.parametrize("name", EITHER)
def test_a_wrapper_of_directions_takes_wrapped_directions(name):
    tx = gd.cautious(EITHER[name](optax.scale_by_adam()))
    grads = jax.grad(loss)(PARAMS)
    updates, _ = tx.update(grads, tx.init(PARAMS), PARAMS)
    jax.tree.map(np.testing.assert_array_equal, *map(signs, (updates, grads)))
