"""Which iterates `swa` takes, and where their mean is found."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from averaging.recorded import run

import gdjax as gd
from gdjax.averaging import SwaState, averaged_params, swa


@pytest.mark.parametrize(
    ("start", "every", "taken"),
    [(0, 1, range(10)), (3, 1, range(3, 10)), (2, 3, (2, 5, 8)), (0, 4, (0, 4, 8))]
    + [(9, 5, (9,)), (10, 1, ())],
)
def test_which_iterates_are_taken(start, every, taken):
    state, params, iterates = averaged_run(start, every)
    assert state.num_averaged == len(taken) and state.count == 10
    want = np.mean([iterates[t] for t in taken]) if taken else params
    np.testing.assert_allclose(averaged_params(state, params), want, rtol=1e-6)


def averaged_run(start, every):
    """Ten steps of iterates 2^0, 2^1, ...: every set of them has a mean of its own."""
    tx = swa(optax.identity(), start, every)
    state, x, iterates = tx.init(jnp.float32(0)), jnp.float32(0), []
    update = jax.jit(tx.update)
    for t in range(10):
        u, state = update(2.0**t - x, state, x)
        x = gd.apply_updates(x, u)
        iterates.append(float(x))
    assert iterates == [2.0**t for t in range(10)]
    return state, x, iterates


PARAMS = {"a": jnp.array([1.0, 2.0]), "b": jnp.array([[3.0]])}
GRADS = jax.tree.map(lambda p: jnp.stack([p * (t + 1.0) for t in range(6)]), PARAMS)


def mean_of(iterates, taken):
    return jax.tree.map(lambda x: np.asarray(x)[list(taken)].mean(0), iterates)


def close(got, want, names=("a", "b")):
    for name in names:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-6)


WRAPPERS = {
    "nothing": lambda tx: tx,
    "chain": lambda tx: gd.chain(gd.clip_by_global_norm(2.0), tx),
    "masked": lambda tx: gd.masked(tx, {"a": True, "b": True}),
    "apply_if_finite": lambda tx: optax.apply_if_finite(tx, 3),
    "inject_hyperparams": lambda tx: optax.inject_hyperparams(
        lambda learning_rate: swa(gd.sgd(learning_rate), 2)
    )(learning_rate=0.1),
    "partition": lambda tx: optax.partition({"all": tx}, {"a": "all", "b": "all"}),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_the_average_is_found_at_any_depth(wrapper):
    tx = WRAPPERS[wrapper](swa(gd.sgd(0.1), start_step=2))
    close(averaged_params(tx.init(PARAMS), PARAMS), PARAMS)  # none yet
    state, params, iterates = run(tx, PARAMS, GRADS)
    average = averaged_params(state, params)
    close(average, mean_of(iterates, range(2, 6)))
    assert jax.tree.structure(average) == jax.tree.structure(PARAMS)


def test_leaves_that_a_mask_leaves_out_are_their_own_average():
    tx = gd.chain(gd.masked(swa(gd.sgd(0.1), 0), {"a": True, "b": False}))
    state, params, iterates = run(tx, PARAMS, GRADS)
    average = averaged_params(state, params)
    close(average, mean_of(iterates, range(6)), "a")
    close(average, params, "b")


def test_inside_multi_steps_an_iterate_counts_once():
    """Three half steps: the parameters stand still in between."""
    tx = optax.MultiSteps(swa(gd.sgd(0.1), start_step=0), every_k_schedule=2)
    state, params, iterates = run(tx, PARAMS, GRADS)
    close(averaged_params(state, params), mean_of(iterates, (1, 3, 5)))


def test_inside_apply_if_finite_a_skipped_step_does_not_count():
    tx = optax.apply_if_finite(swa(gd.sgd(0.1), start_step=0), 5)
    grads = jax.tree.map(lambda g: g.at[2].set(jnp.nan), GRADS)
    state, params, iterates = run(tx, PARAMS, grads)
    close(averaged_params(state, params), mean_of(iterates, (0, 1, 3, 4, 5)))


def test_an_iterate_that_is_not_finite_before_the_start_is_forgotten():
    tx = swa(optax.identity(), start_step=2)
    x = jnp.zeros(3)
    state, update = tx.init(x), jax.jit(tx.update)
    for value in (np.inf, np.nan, 1.0, 2.0):
        _, state = update(np.full(3, value, np.float32), state, x)
    assert averaged_params(state, x).tolist() == [1.5] * 3


class OtherAverageState(SwaState):
    """What another wrapper would keep."""


def other(inner):
    tx = swa(inner, 0)
    init = lambda p: OtherAverageState(*tx.init(p))
    return optax.GradientTransformationExtraArgs(init, tx.update)


def test_none_two_and_one_by_name():
    p = jnp.ones(2)
    none = gd.adamw(0.1).init(p)
    with pytest.raises(
        ValueError, match="holds no average: wrap the optimizer in `swa`"
    ):
        averaged_params(none, p)
    two = swa(gd.chain(other(gd.sgd(0.1))), 5).init(p)
    inner = two.inner_state[0]
    two = two._replace(
        inner_state=(inner._replace(average=7 * p, num_averaged=jnp.int32(1)),)
    )
    words = r"2 averages: \['swa', 'other_average'\]. Choose one by `name`"
    with pytest.raises(ValueError, match=words):
        averaged_params(two, p)
    assert averaged_params(two, p, name="other_average").tolist() == [7, 7]
    assert averaged_params(two, p, name="swa").tolist() == [1, 1]
    with pytest.raises(ValueError, match="holds no average called 'ema_params'"):
        averaged_params(two, p, name="ema_params")
    twice = (swa(gd.sgd(0.1), 0).init(p), swa(gd.sgd(0.1), 0).init(p))
    with pytest.raises(ValueError, match="2 averages called 'swa'"):
        averaged_params(twice, p, name="swa")


def test_steps_are_those_of_the_inner_optimizer():
    inner = gd.chain(gd.trace(0.9), gd.scale_by_learning_rate(0.1))
    _, wrapped, _ = run(swa(inner, 1), PARAMS, GRADS)
    _, alone, _ = run(inner, PARAMS, GRADS)
    jax.tree.map(np.testing.assert_array_equal, wrapped, alone)


def test_donated_states_and_the_average_under_jit():
    tx = swa(gd.sgd(0.1), start_step=0)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state, g):
        updates, state = tx.update(g, state, params)
        return gd.apply_updates(params, updates), state

    params, state = jax.tree.map(jnp.copy, PARAMS), tx.init(PARAMS)
    seen = []
    for t in range(3):
        params, state = step(params, state, jax.tree.map(lambda g: g[t], GRADS))
        seen.append(jax.tree.map(np.asarray, params))
    average = jax.jit(averaged_params)(state, params)
    close(average, jax.tree.map(lambda *x: np.mean(x, axis=0), *seen))
    assert step._cache_size() == 1


def test_extra_arguments_reach_the_inner_optimizer_and_params_are_needed():
    def update(updates, state, params=None, *, value, **extra):
        return jax.tree.map(lambda u: u * value, updates), state

    inner = optax.GradientTransformationExtraArgs(lambda p: (), update)
    tx = swa(inner, 0)
    state = tx.init(jnp.ones(2))
    u, state = tx.update(jnp.ones(2), state, jnp.ones(2), value=3.0)
    assert u.tolist() == [3, 3] and state.average.tolist() == [4, 4]
    with pytest.raises(ValueError, match="`swa` needs `params` in `update`"):
        tx.update(jnp.ones(2), state, value=3.0)


def test_python_and_complex_parameters():
    tx = swa(optax.identity(), 0)
    params = {"python": 1.0, "complex": jnp.ones(1, jnp.complex64), "none": None}
    g = {"python": 2.0, "complex": jnp.full(1, 2j), "none": None}
    _, state = tx.update(g, tx.init(params), params)
    average = averaged_params(state, params)
    assert average["python"] == 3 and average["complex"] == 1 + 2j
    assert average["none"] is None


def test_nothing_is_divided_by_zero_before_the_start():
    """Who looks for a NaN with `jax_debug_nans` must not be shown this one."""
    tx, x = swa(optax.identity(), start_step=1), jnp.zeros(3)
    with jax.debug_nans(True):
        _, state = tx.update(x, tx.init(x), x)
    assert state.num_averaged == 0 and averaged_params(state, x).tolist() == [0, 0, 0]
